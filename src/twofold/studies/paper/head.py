"""What the projection head is for (paper, section 4.2 and figure 8)."""

from itertools import combinations

from twofold.studies.engine.cell import Cell
from twofold.studies.engine.claim import Claim, Comparison, mean_of
from twofold.studies.engine.panel import Panel
from twofold.studies.engine.results import Results
from twofold.studies.engine.scale import Scale
from twofold.studies.engine.study import Study

HEADS = ("nonlinear", "linear")
HARDLY = 0.02  # differences of the dimension smaller than this count as hardly any


def cells(scale: Scale, seeds: int, results: Results) -> list[Cell]:  # noqa: ARG001
    """Both heads in every dimension, and none."""
    heads = [
        Cell(name=_name(head, dim), settings={"head": head, "z_dim": dim}) for dim in scale.z_dims for head in HEADS
    ]
    return scale.repeated([*heads, Cell(name="none", settings={"head": "none"})], seeds)


def _name(head: str, dim: int) -> str:
    return f"{head}, {dim}"


def panels(scale: Scale, results: Results) -> list[Panel]:  # noqa: ARG001
    """Figure 8; without a head the dimension is that of h."""
    columns = tuple(str(dim) for dim in scale.z_dims)
    entries = {(head, str(dim)): (_name(head, dim), "top1") for head in HEADS for dim in scale.z_dims}
    return [
        Panel(
            title="Heads, linear probe on h, top-1",
            rows=(*HEADS, "none"),
            columns=columns,
            entries=entries | {("none", column): ("none", "top1") for column in columns},
            column_title="dimension of z",
        )
    ]


def claims(scale: Scale, results: Results) -> list[Claim]:  # noqa: ARG001
    """Nonlinear beats linear beats none; the dimension hardly matters."""
    nonlinear, linear = ([_name(head, dim) for dim in scale.z_dims] for head in HEADS)
    short = "The gain of a nonlinear head grows with training; after few epochs the heads are hardly apart."
    return [
        Claim(
            text="A nonlinear head beats a linear one",
            paper="by about 3 points (figure 8)",
            comparisons=(
                Comparison(name="nonlinear minus linear", weights=mean_of(nonlinear) | mean_of(linear, -1.0)),
            ),
            why_not=short,
            settled=True,
        ),
        Claim(
            text="A nonlinear head beats none",
            paper="by more than 10 points (figure 8)",
            comparisons=(
                Comparison(name="nonlinear minus none", weights=mean_of(nonlinear) | mean_of(["none"], -1.0)),
            ),
            why_not=short,
            settled=True,
        ),
        Claim(
            text="A linear head beats none",
            paper="between the two (figure 8)",
            comparisons=(Comparison(name="linear minus none", weights=mean_of(linear) | mean_of(["none"], -1.0)),),
            why_not=short,
            settled=True,
        ),
        Claim(
            text="The dimension of z hardly matters",
            paper="nearly the same from 32 to 2048 (figure 8)",
            comparisons=tuple(
                Comparison(name=f"{a} minus {b}", weights={(a, "top1"): 1.0, (b, "top1"): -1.0}, within=HARDLY)
                for a, b in combinations(nonlinear, 2)
            ),
            why_not="Few seeds give intervals wider than the bounds; a small z may also need longer training.",
            settled=True,
        ),
    ]


STUDY = Study(
    name="head",
    asks="What is the projection head for?",
    paper="A nonlinear head beats a linear one by about 3 points and none by over 10, in any dimension (figure 8).",
    cells=cells,
    panels=panels,
    claims=claims,
)
