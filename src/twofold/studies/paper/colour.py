"""How strong the colour distortion must be, with and without labels (paper, section 3.2 and table 1)."""

from typing import Any

from twofold.studies.engine.cell import Cell, with_seeds
from twofold.studies.engine.claim import Claim, Comparison
from twofold.studies.engine.found import Found
from twofold.studies.engine.panel import Panel
from twofold.studies.engine.scale import Scale
from twofold.studies.engine.study import Study

STRENGTHS: dict[str, dict[str, Any]] = {
    "1/8": {"policy": "small", "strength": 0.125},
    "1/4": {"policy": "small", "strength": 0.25},
    "1/2": {"policy": "small", "strength": 0.5},
    "1": {"policy": "small", "strength": 1.0},
    "1 + blur": {"policy": "simclr", "strength": 1.0},
}
WAYS = {"contrastive": "linear", "supervised": "supervised"}  # name -> measure
PAPER = {"contrastive": (59.6, 61.0, 62.6, 63.2, 64.5), "supervised": (77.0, 76.7, 76.5, 75.7, 75.4)}


def cells(scale: Scale, seeds: int, found: Found) -> list[Cell]:  # noqa: ARG001
    """Every strength, contrastive and supervised."""
    return with_seeds(
        [
            Cell(name=_name(way, strength), settings=settings, measure=measure)
            for way, measure in WAYS.items()
            for strength, settings in STRENGTHS.items()
        ],
        seeds,
    )


def _name(way: str, strength: str) -> str:
    settings = STRENGTHS[strength]
    return f"{way}, {settings['strength']:g}{' and blur' if settings['policy'] == 'simclr' else ''}"


def panels(scale: Scale, found: Found) -> list[Panel]:  # noqa: ARG001
    """Table 1."""
    places = [(way, strength) for way in WAYS for strength in STRENGTHS]
    return [
        Panel(
            title="Colour strength, top-1",
            rows=tuple(WAYS),
            columns=tuple(STRENGTHS),
            entries={place: (_name(*place), "top1") for place in places},
            column_title="strength of the colour distortion",
            paper={(way, s): PAPER[way][i] for way in WAYS for i, s in enumerate(STRENGTHS)},
            paper_source="table 1: ResNet-50, ImageNet, top-1",
        )
    ]


def claims(scale: Scale, found: Found) -> list[Claim]:  # noqa: ARG001
    """Stronger colour helps contrastive learning, not supervised."""

    def gain(way: str, sign: float = 1.0) -> dict[tuple[str, str], float]:
        return {(_name(way, "1"), "top1"): sign, (_name(way, "1/8"), "top1"): -sign}

    return [
        Claim(
            text="Stronger colour distortion helps contrastive learning",
            paper="+3.6 from strength 1/8 to 1 (table 1)",
            comparisons=(Comparison(name="contrastive, 1 minus 1/8", weights=gain("contrastive")),),
            why_not="After few epochs views that are harder to match may not have paid off yet.",
        ),
        Claim(
            text="Stronger colour distortion harms supervised learning",
            paper="-1.3 from strength 1/8 to 1 (table 1)",
            comparisons=(Comparison(name="supervised, 1/8 minus 1", weights=gain("supervised", -1.0)),),
            why_not="After few epochs stronger augmentation need not have harmed supervised training yet.",
        ),
        Claim(
            text="Stronger colour distortion helps contrastive learning more than supervised",
            paper="+3.6 and -1.3 (table 1)",
            comparisons=(
                Comparison(
                    name="gain of contrastive minus gain of supervised",
                    weights=gain("contrastive") | gain("supervised", -1.0),
                ),
            ),
            why_not="Both gains are small after few epochs, and their difference has the noise of four cells.",
        ),
    ]


STUDY = Study(
    name="colour",
    asks="How strong must the colour distortion be, and is it the same with labels?",
    paper="Stronger colour distortion helps contrastive learning and hurts supervised learning (table 1).",
    cells=cells,
    panels=panels,
    claims=claims,
)
