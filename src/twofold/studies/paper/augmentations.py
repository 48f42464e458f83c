"""Which augmentations matter, alone and in pairs (paper, section 3.1 and figure 5)."""

from collections.abc import Mapping, Sequence
from itertools import product

from twofold.recipes.recipe import Op
from twofold.studies.engine.cell import Cell, with_seeds
from twofold.studies.engine.claim import Claim, Comparison, mean_of
from twofold.studies.engine.panel import Panel
from twofold.studies.engine.results import Results
from twofold.studies.engine.scale import Scale
from twofold.studies.engine.study import Study

RIVALS = 3  # so many pairs, the strongest by the first seed, are measured with all seeds beside the paper's next best

NAMES = ("crop", "cutout", "colour", "sobel", "noise", "blur", "rotate")
PAPER = (  # figure 5: rows first, columns second
    (33.1, 33.9, 56.3, 46.0, 39.9, 35.0, 30.2),
    (32.2, 25.6, 33.9, 40.0, 26.5, 25.2, 22.4),
    (55.8, 35.5, 18.8, 21.0, 11.4, 16.5, 20.8),
    (46.2, 40.6, 20.9, 4.0, 9.3, 6.2, 4.2),
    (38.8, 25.8, 7.5, 7.6, 9.8, 9.8, 9.6),
    (35.1, 25.2, 16.6, 5.8, 9.7, 2.6, 6.7),
    (30.0, 22.5, 20.7, 4.3, 9.7, 6.5, 2.6),
)


def name_of(first: str, second: str) -> str:
    """The cell of two transformations in this order; of one alone where they are the same."""
    return first if first == second else f"{first}+{second}"


Pair = tuple[str, str]  # a place of the matrix: the first transformation and the second
Ops = Mapping[str, tuple[Op, ...]]  # by transformation
OURS = (("crop", "colour"), ("colour", "crop"))
NEXT = (("crop", "sobel"), ("sobel", "crop"))  # in the paper, both orders


def transformations(scale: Scale) -> Ops:
    """Each transformation as ops; crop and colour are the base recipe's own."""
    views, jitter = scale.base.views, 0.8 * scale.base.views.strength
    return {
        "crop": (Op(name="crop", range=views.crop_area),),
        "cutout": (Op(name="cutout", range=(0.1, 0.3)),),
        "colour": (
            Op(name="jitter", prob=0.8, range=(jitter, jitter, jitter, jitter / 4)),
            Op(name="grayscale", prob=0.2),
        ),
        "sobel": (Op(name="sobel"),),
        "noise": (Op(name="noise", range=(0.05, 0.2)),),
        "blur": (Op(name="blur", range=(0.1, 2.0)),),
        "rotate": (Op(name="rotate", range=(0.0, 3.0)),),
    }


def _matrix(scale: Scale) -> dict[Pair, Cell]:
    """The cell of each place: both views are the same random crop, and the transformations act on the second alone."""
    known = transformations(scale)

    def cell(first: str, second: str) -> Cell:
        names = (first,) if first == second else (first, second)
        ops = (*known["crop"], *(op for name in names for op in known[name]))
        settings = {"one_branch": True, "ops": ops, "epochs": scale.pairs * scale.epochs}
        return Cell(name=name_of(first, second), settings=settings)

    return {place: cell(*place) for place in product(NAMES, NAMES)}


def cells(scale: Scale, seeds: int, results: Results) -> list[Cell]:
    """Every place of the matrix once; all seeds of the diagonal, of crop with colour, and of its rivals."""
    matrix = _matrix(scale)
    grid = list(matrix.values())
    more = [(name, name) for name in NAMES] + [*OURS, *NEXT]
    if results.has(grid):
        more += [place for pair in rivals(scale, results) for place in pair]
    worth = [cell for place, cell in matrix.items() if place in more]
    return grid + [cell for cell in with_seeds(worth, seeds) if cell not in grid]


def rivals(scale: Scale, results: Results) -> list[tuple[Pair, Pair]]:
    """The strongest other pairs by the first seed, both orders of each."""
    matrix = _matrix(scale)
    pairs = [((first, second), (second, first)) for i, first in enumerate(NAMES) for second in NAMES[i + 1 :]]
    top1s = {pair: sum(results.value(matrix[place].name, "top1", 0) for place in pair) for pair in pairs}
    return sorted(set(pairs) - {OURS, NEXT}, key=lambda pair: (-top1s[pair], pair))[:RIVALS]


def panels(scale: Scale, results: Results) -> list[Panel]:  # noqa: ARG001
    """Figure 5."""
    return [
        Panel(
            title="One or two transformations of one view, linear probe, top-1",
            rows=NAMES,
            columns=NAMES,
            entries={place: (cell.name, "top1") for place, cell in _matrix(scale).items()},
            kind="heat",
            row_title="first",
            column_title="second",
            paper={(a, b): PAPER[i][j] for i, a in enumerate(NAMES) for j, b in enumerate(NAMES)},
            paper_source="figure 5: ResNet-50, ImageNet, linear top-1",
        )
    ]


def claims(scale: Scale, results: Results) -> list[Claim]:
    """No single one suffices; crop with colour is the best pair."""

    def ours_minus(name: str, places: Sequence[Pair]) -> Comparison:
        ours, theirs = ([name_of(*place) for place in pair] for pair in (OURS, places))
        return Comparison(name=f"crop with colour minus {name}", weights=mean_of(ours) | mean_of(theirs, -1.0))

    whole = results.has(_matrix(scale).values())
    others = [NEXT, *(rivals(scale, results) if whole else [])]
    return [
        Claim(
            text="No single transformation suffices: crop with colour beats each alone",
            paper="crop alone 33.1, crop and colour 56.3 (figure 5)",
            comparisons=tuple(ours_minus(f"{name} alone", [(name, name)]) for name in NAMES),
            why_not="After so short a training a single augmentation may still do as well as two.",
        ),
        Claim(
            text="Crop with colour is the best pair: it beats the three strongest others and crop with Sobel",
            paper="crop and colour 56.3, the next best, sobel and crop, 46.2 (figure 5)",
            comparisons=tuple(ours_minus(name_of(*pair[0]), pair) for pair in others),
            why_not="On images this small other pairs may lose less of what the classes differ in.",
        ),
    ]


STUDY = Study(
    name="augmentations",
    asks="Which augmentations matter, alone and in pairs?",
    paper="No single transformation gives good representations; crop with colour distortion stands out (figure 5).",
    cells=cells,
    panels=panels,
    claims=claims,
)
