"""How much bigger encoders help, with and without labels (paper, section 4.1 and figure 7)."""

from twofold.studies.cell import Cell, with_seeds
from twofold.studies.claim import Claim, Comparison
from twofold.studies.found import Found
from twofold.studies.panel import Panel
from twofold.studies.scale import Scale
from twofold.studies.study import Study

WAYS = {"contrastive": "linear", "supervised": "supervised"}  # name -> measure


def cells(scale: Scale, seeds: int, found: Found) -> list[Cell]:  # noqa: ARG001
    """Every encoder, contrastive and supervised."""
    return with_seeds(
        [
            Cell(name=_name(way, encoder), settings=settings, measure=measure)
            for way, measure in WAYS.items()
            for encoder, settings in scale.encoders.items()
        ],
        seeds,
    )


def _name(way: str, encoder: str) -> str:
    return f"{way}, {encoder}"


def panels(scale: Scale, found: Found) -> list[Panel]:  # noqa: ARG001
    """Figure 7."""
    encoders = tuple(scale.encoders)
    return [
        Panel(
            title="Encoders from small to large, top-1",
            rows=tuple(WAYS),
            columns=encoders,
            entries={(way, encoder): (_name(way, encoder), "top1") for way in WAYS for encoder in encoders},
            column_title="encoder",
        )
    ]


def claims(scale: Scale, found: Found) -> list[Claim]:  # noqa: ARG001
    """The gap to supervised shrinks; bigger encoders help."""
    small, *_, large = scale.encoders

    def gap(encoder: str, sign: float = 1.0) -> dict[tuple[str, str], float]:
        return {
            (_name("supervised", encoder), "top1"): sign,
            (_name("contrastive", encoder), "top1"): -sign,
        }

    return [
        Claim(
            text="Bigger encoders help contrastive learning",
            paper="bigger encoders do better (figure 7)",
            comparisons=(
                Comparison(
                    name=f"contrastive, {large} minus {small}",
                    weights={(_name("contrastive", large), "top1"): 1.0, (_name("contrastive", small), "top1"): -1.0},
                ),
            ),
            why_not="A larger encoder needs more epochs before it is ahead.",
        ),
        Claim(
            text="The gap to supervised learning shrinks as the encoder grows",
            paper="bigger encoders help unsupervised learning more than supervised (figure 7)",
            comparisons=(
                Comparison(name=f"gap of {small} minus gap of {large}", weights=gap(small) | gap(large, -1.0)),
            ),
            why_not="After few epochs supervised training is not at its end either: there size still helps it much.",
            premises=(Comparison(name=f"the gap of {small}", weights=gap(small)),),
        ),
    ]


STUDY = Study(
    name="size",
    asks="Do bigger encoders help more without labels than with them?",
    paper="Unsupervised learning benefits more from bigger encoders than supervised learning does (figure 7).",
    cells=cells,
    panels=panels,
    claims=claims,
)
