"""How much bigger encoders help, with and without labels (paper, section 4.1 and figure 7)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from twofold.evaluation.schedules import TRAINING_SETTINGS
from twofold.studies.engine.cell import Cell
from twofold.studies.engine.claim import Claim, Comparison
from twofold.studies.engine.panel import Panel
from twofold.studies.engine.results import Results
from twofold.studies.engine.scale import Scale
from twofold.studies.engine.study import Study
from twofold.studies.engine.tuning import TUNING_SEED, Tuning, Values, tune

WAYS = ("contrastive", "supervised")


def _supervised(encoder: str, settings: Mapping[str, Any], rate: float) -> Cell:
    options = {"base_lr": rate}
    return Cell(name=_name("supervised", encoder), settings=settings, measure="supervised", options=options)


def _contrastive(encoder: str, settings: Mapping[str, Any]) -> Cell:
    return Cell(name=_name("contrastive", encoder), settings=settings)


def _tunings(scale: Scale, results: Results) -> dict[str, Tuning]:
    """Each encoder's learning rates with labels: the paper's and its neighbours, and further ones past the best."""

    def tuning(encoder: str, settings: Mapping[str, Any]) -> Tuning:
        def make(values: Values) -> Cell:
            cell = _supervised(encoder, settings, values["rate"])
            short = {"epochs": scale.short * scale.epochs} if scale.tuned else {}
            name, whole = f"{cell.name}, rate {values['rate']:g}", {**cell.settings, **short}
            return replace(cell, name=name, settings=whole, on="selection")

        rates = sorted(TRAINING_SETTINGS["supervised"].rates)
        return tune({"rate": rates}, make, results, seeds=scale.tuning_seeds)

    return {encoder: tuning(encoder, settings) for encoder, settings in scale.encoders.items()}


def _contrastive_tunings(scale: Scale, results: Results) -> dict[str, Tuning]:
    """The same without labels, short; none where a scale takes the base recipe's rate."""

    def tuning(encoder: str, settings: Mapping[str, Any]) -> Tuning:
        def make(values: Values) -> Cell:
            name = f"{_name('contrastive', encoder)}, rate {values['base_lr']:g}"
            epochs = scale.short * scale.epochs
            return Cell(name=name, settings={**settings, **values, "epochs": epochs}, on="selection", seed=TUNING_SEED)

        return tune({"base_lr": scale.tuning["base_lr"]}, make, results, seeds=scale.tuning_seeds)

    return {encoder: tuning(encoder, settings) for encoder, settings in scale.encoders.items()} if scale.tuned else {}


def cells(scale: Scale, seeds: int, results: Results) -> list[Cell]:
    """Every encoder, contrastive at the base recipe's rate or its own, and supervised at its own, once it is chosen."""
    tunings, without = _tunings(scale, results), _contrastive_tunings(scale, results)
    tuning = [cell for one in (*tunings.values(), *without.values()) for cell in one.cells]
    final: list[Cell] = []
    if all(one.best for one in without.values()):
        rates = {encoder: one.chosen for encoder, one in without.items()}
        final += [_contrastive(name, {**settings, **rates.get(name, {})}) for name, settings in scale.encoders.items()]
    if all(one.best for one in tunings.values()):
        final += [
            _supervised(name, settings, tunings[name].chosen["rate"]) for name, settings in scale.encoders.items()
        ]
    small = next(iter(scale.encoders))
    return tuning + scale.repeated(final, seeds, premises=[cell for cell in final if cell.name.endswith(f", {small}")])


def notes(scale: Scale, results: Results) -> list[str]:
    """Which learning rates were chosen."""
    every = [("supervised", one) for one in _tunings(scale, results).items()]
    every += [("contrastive", one) for one in _contrastive_tunings(scale, results).items()]
    names = {"rate": "rate", "base_lr": "rate"}
    return [
        f"{_name(way, encoder)}: {tuning.told(names)}, chosen on selection"
        for way, (encoder, tuning) in every
        if tuning.best
    ]


def _name(way: str, encoder: str) -> str:
    return f"{way}, {encoder}"


def panels(scale: Scale, results: Results) -> list[Panel]:  # noqa: ARG001
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


def claims(scale: Scale, results: Results) -> list[Claim]:  # noqa: ARG001
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
            settled=True,
        ),
        Claim(
            text="The gap to supervised learning shrinks as the encoder grows",
            paper="bigger encoders help unsupervised learning more than supervised (figure 7)",
            comparisons=(
                Comparison(name=f"gap of {small} minus gap of {large}", weights=gap(small) | gap(large, -1.0)),
            ),
            why_not="After few epochs training with labels lags, and a rate that suits one size may not suit another.",
            settled=True,
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
