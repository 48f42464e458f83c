"""How much bigger encoders help, with and without labels (paper, section 4.1 and figure 7)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from twofold.evaluation.schedules import TRAINING_SETTINGS
from twofold.studies.engine.cell import Cell, with_seeds
from twofold.studies.engine.claim import Claim, Comparison
from twofold.studies.engine.found import Found
from twofold.studies.engine.panel import Panel
from twofold.studies.engine.scale import Scale
from twofold.studies.engine.study import Study
from twofold.studies.engine.tuning import Tuning, Values, tune

WAYS = ("contrastive", "supervised")


def _supervised(encoder: str, settings: Mapping[str, Any], rate: float) -> Cell:
    options = {"base_lr": rate}
    return Cell(name=_name("supervised", encoder), settings=settings, measure="supervised", options=options)


def _tunings(scale: Scale, found: Found) -> dict[str, Tuning]:
    """Each encoder's learning rates with labels: the paper's and its neighbours, and further ones past the best."""

    def tuning(encoder: str, settings: Mapping[str, Any]) -> Tuning:
        def make(values: Values) -> Cell:
            cell = _supervised(encoder, settings, values["rate"])
            return replace(cell, name=f"{cell.name}, rate {values['rate']:g}", on="selection")

        return tune({"rate": sorted(TRAINING_SETTINGS["supervised"].rates)}, make, found)

    return {encoder: tuning(encoder, settings) for encoder, settings in scale.encoders.items()}


def cells(scale: Scale, seeds: int, found: Found) -> list[Cell]:
    """Every encoder, contrastive at the base recipe's rate and supervised at its own, once that is chosen."""
    tunings = _tunings(scale, found)
    final = [
        Cell(name=_name("contrastive", encoder), settings=settings) for encoder, settings in scale.encoders.items()
    ]
    if all(tuning.best for tuning in tunings.values()):
        final += [
            _supervised(encoder, settings, tunings[encoder].chosen["rate"])
            for encoder, settings in scale.encoders.items()
        ]
    return [cell for tuning in tunings.values() for cell in tuning.cells] + with_seeds(final, seeds)


def notes(scale: Scale, found: Found) -> list[str]:
    """Which learning rates were chosen."""
    return [
        f"{_name('supervised', encoder)}: {tuning.told({'rate': 'rate'})}, chosen on selection"
        for encoder, tuning in _tunings(scale, found).items()
        if tuning.best
    ]


def _name(way: str, encoder: str) -> str:
    return f"{way}, {encoder}"


def panels(scale: Scale, found: Found) -> list[Panel]:  # noqa: ARG001
    """Figure 7."""
    encoders = tuple(scale.encoders)
    return [
        Panel(
            title="Encoders from small to large, top-1",
            rows=WAYS,
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
            why_not="After few epochs training with labels lags, and a rate that suits one size may not suit another.",
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
    notes=notes,
)
