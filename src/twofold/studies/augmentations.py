"""Which augmentations matter, alone and in pairs (paper, section 3.1 and figure 5)."""

from twofold.recipe import Op
from twofold.studies.cell import Cell, with_seeds
from twofold.studies.claim import Claim, Comparison, mean_of
from twofold.studies.found import Found
from twofold.studies.panel import Panel
from twofold.studies.scale import Scale
from twofold.studies.study import Study

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


OURS = (name_of("crop", "colour"), name_of("colour", "crop"))
NEXT = (name_of("crop", "sobel"), name_of("sobel", "crop"))  # in the paper, both orders


def transformations(scale: Scale) -> dict[str, tuple[Op, ...]]:
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


def _cell(scale: Scale, first: str, second: str) -> Cell:
    """Both views are the same random crop; the transformations act on the second view alone."""
    known = transformations(scale)
    names = (first,) if first == second else (first, second)
    ops = (*known["crop"], *(op for name in names for op in known[name]))
    epochs = scale.pairs * scale.epochs
    return Cell(name=name_of(first, second), settings={"one_branch": True, "ops": ops, "epochs": epochs})


def cells(scale: Scale, seeds: int, found: Found) -> list[Cell]:
    """Every place of the matrix once; all seeds of the diagonal, of crop with colour, and of its rivals."""
    grid = [_cell(scale, first, second) for first in NAMES for second in NAMES]
    more = {*NAMES, *OURS, *NEXT}
    if found.has(grid):
        for pair in rivals(found):
            more |= set(pair)
    further = with_seeds([cell for cell in grid if cell.name in more], seeds)
    return grid + [cell for cell in further if cell.seed > 0]


def rivals(found: Found) -> list[tuple[str, str]]:
    """The strongest other pairs by the first seed, both orders of each."""
    pairs = [
        (name_of(first, second), name_of(second, first)) for i, first in enumerate(NAMES) for second in NAMES[i + 1 :]
    ]
    others = [pair for pair in pairs if pair not in (OURS, NEXT)]
    return sorted(others, key=lambda pair: -sum(found.value(name, "top1", 0) for name in pair))[:RIVALS]


def panels(scale: Scale, found: Found) -> list[Panel]:  # noqa: ARG001
    """Figure 5."""
    places = [(first, second) for first in NAMES for second in NAMES]
    return [
        Panel(
            title="One or two transformations of one view, linear probe, top-1",
            rows=NAMES,
            columns=NAMES,
            entries={place: (name_of(*place), "top1") for place in places},
            kind="heat",
            row_title="first",
            column_title="second",
            paper={(NAMES[i], NAMES[j]): PAPER[i][j] for i in range(7) for j in range(7)},
            paper_source="figure 5: ResNet-50, ImageNet, linear top-1",
        )
    ]


def claims(scale: Scale, found: Found) -> list[Claim]:  # noqa: ARG001
    """No single one suffices; crop with colour is the best pair."""
    alone = tuple(
        Comparison(name=f"crop with colour minus {name} alone", weights=mean_of(OURS) | mean_of([name], -1.0))
        for name in NAMES
    )
    whole = all(found.seeds(name_of(first, second), "top1") for first in NAMES for second in NAMES)
    others = [NEXT, *(rivals(found) if whole else [])]
    pairs = tuple(
        Comparison(name=f"crop with colour minus {pair[0]}", weights=mean_of(OURS) | mean_of(pair, -1.0))
        for pair in others
    )
    return [
        Claim(
            text="No single transformation suffices: crop with colour beats each alone",
            paper="crop alone 33.1, crop and colour 56.3 (figure 5)",
            comparisons=alone,
            why_not="After so short a training a single augmentation may still do as well as two.",
        ),
        Claim(
            text="Crop with colour is the best pair: it beats the three strongest others and crop with Sobel",
            paper="crop and colour 56.3, the next best, sobel and crop, 46.2 (figure 5)",
            comparisons=pairs,
            why_not="On pictures this small other pairs may lose less of what the classes differ in.",
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
