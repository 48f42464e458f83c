"""How strong the colour distortion must be, with and without labels (paper, section 3.2 and table 1)."""

from typing import Any

from twofold.evaluation.schedules import TRAINING_SETTINGS
from twofold.studies.engine.cell import Cell
from twofold.studies.engine.claim import Claim, Comparison
from twofold.studies.engine.panel import Panel
from twofold.studies.engine.results import Results
from twofold.studies.engine.scale import Scale
from twofold.studies.engine.study import Study
from twofold.studies.engine.tuning import TUNING_SEED, Tuning, Values, tune

STRENGTHS: dict[str, dict[str, Any]] = {
    "1/8": {"policy": "small", "strength": 0.125},
    "1/4": {"policy": "small", "strength": 0.25},
    "1/2": {"policy": "small", "strength": 0.5},
    "1": {"policy": "small", "strength": 1.0},
    "1 + blur": {"policy": "simclr", "strength": 1.0},
}
WAYS = {"contrastive": "linear", "supervised": "supervised"}  # name -> measure
PAPER = {"contrastive": (59.6, 61.0, 62.6, 63.2, 64.5), "supervised": (77.0, 76.7, 76.5, 75.7, 75.4)}


def _strengths(scale: Scale) -> tuple[str, ...]:
    """All of the table; where every side is tuned, three of them."""
    return ("1/8", "1/2", "1") if scale.tuned else tuple(STRENGTHS)


def _rates(scale: Scale, results: Results) -> dict[str, Tuning]:
    """The supervised rate of each strength, chosen on selection; none where all take the paper's."""

    def tuning(strength: str) -> Tuning:
        def make(values: Values) -> Cell:
            return Cell(
                name=f"{_name('supervised', strength)}, rate {values['rate']:g}",
                settings={**STRENGTHS[strength], "epochs": scale.short * scale.epochs},
                measure="supervised",
                options={"base_lr": values["rate"]},
                on="selection",
                seed=TUNING_SEED,
            )

        rates = sorted(TRAINING_SETTINGS["supervised"].rates)
        return tune({"rate": rates}, make, results, seeds=scale.tuning_seeds)

    return {strength: tuning(strength) for strength in _strengths(scale)} if scale.tuned else {}


def cells(scale: Scale, seeds: int, results: Results) -> list[Cell]:
    """Every strength, contrastive and supervised; this at rates of its own, once chosen, where a scale tunes them."""
    rates = _rates(scale, results)
    tuning = [cell for one in rates.values() for cell in one.cells]
    ready = all(one.best for one in rates.values())
    final = [
        Cell(
            name=_name(way, strength),
            settings=STRENGTHS[strength],
            measure=measure,
            options={"base_lr": rates[strength].chosen["rate"]} if rates and way == "supervised" else {},
        )
        for way, measure in WAYS.items()
        if ready or way == "contrastive"
        for strength in _strengths(scale)
    ]
    return tuning + scale.repeated(final, seeds)


def notes(scale: Scale, results: Results) -> list[str]:
    """Which rates were chosen."""
    return [
        f"{_name('supervised', strength)}: {tuning.told({'rate': 'rate'})}, chosen on selection"
        for strength, tuning in _rates(scale, results).items()
        if tuning.best
    ]


def _name(way: str, strength: str) -> str:
    settings = STRENGTHS[strength]
    return f"{way}, {settings['strength']:g}{' and blur' if settings['policy'] == 'simclr' else ''}"


def panels(scale: Scale, results: Results) -> list[Panel]:  # noqa: ARG001
    """Table 1."""
    strengths = _strengths(scale)
    places = [(way, strength) for way in WAYS for strength in strengths]
    return [
        Panel(
            title="Colour strength, top-1",
            rows=tuple(WAYS),
            columns=strengths,
            entries={place: (_name(*place), "top1") for place in places},
            column_title="strength of the colour distortion",
            paper={(way, s): PAPER[way][i] for way in WAYS for i, s in enumerate(STRENGTHS) if s in strengths},
            paper_source="table 1: ResNet-50, ImageNet, top-1",
        )
    ]


def claims(scale: Scale, results: Results) -> list[Claim]:  # noqa: ARG001
    """Stronger colour helps contrastive learning, not supervised."""

    def gain(way: str, sign: float = 1.0) -> dict[tuple[str, str], float]:
        return {(_name(way, "1"), "top1"): sign, (_name(way, "1/8"), "top1"): -sign}

    return [
        Claim(
            text="Stronger colour distortion helps contrastive learning",
            paper="+3.6 from strength 1/8 to 1 (table 1)",
            comparisons=(Comparison(name="contrastive, 1 minus 1/8", weights=gain("contrastive")),),
            why_not="After few epochs views that are harder to match may not have paid off yet.",
            settled=True,
        ),
        Claim(
            text="Stronger colour distortion harms supervised learning",
            paper="-1.3 from strength 1/8 to 1 (table 1)",
            comparisons=(Comparison(name="supervised, 1/8 minus 1", weights=gain("supervised", -1.0)),),
            why_not="After few epochs stronger augmentation need not have harmed supervised training yet.",
            settled=True,
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
            settled=True,
        ),
    ]


STUDY = Study(
    name="colour",
    asks="How strong must the colour distortion be, and is it the same with labels?",
    paper="Stronger colour distortion helps contrastive learning and hurts supervised learning (table 1).",
    cells=cells,
    panels=panels,
    claims=claims,
    notes=notes,
)
