"""What a pretrained encoder is worth with few labels and with many (paper, section 6 and table 7)."""

from typing import Any

from twofold.evaluation.schedules import TRAINING_SETTINGS
from twofold.studies.engine.cell import Cell, with_seeds
from twofold.studies.engine.claim import Claim, Comparison
from twofold.studies.engine.panel import Panel
from twofold.studies.engine.results import Results
from twofold.studies.engine.scale import Scale
from twofold.studies.engine.study import Study
from twofold.studies.engine.tuning import Tuning, Values, tune

WAYS = {"from scratch": "supervised", "fine-tuned": "finetune"}  # the first does not wait for an encoder

FURTHER = 3  # rates beyond the paper's, at most


def _share(fraction: float) -> str:
    return f"{100 * fraction:g} %"


def _cell(scale: Scale, way: str, fraction: float, rate: float, name: str, on: str) -> Cell:
    """A network trained on a share of the labels; the encoder under a fine-tuned one is pretrained for the longest."""
    options: dict[str, Any] = {"way": WAYS[way], "fraction": fraction, "base_lr": rate}
    if fraction in scale.label_epochs:
        options["epochs"] = scale.label_epochs[fraction]
    settings = {"epochs": scale.pretrained * scale.epochs}
    return Cell(name=name, settings=settings, measure="trained on labels", options=options, on=on)


def _tuning(scale: Scale, way: str, fraction: float, results: Results) -> Tuning:
    """Learning rates on selection: the paper's and its neighbours, and further ones while the last is best."""

    def make(values: Values) -> Cell:
        rate = values["rate"]
        return _cell(scale, way, fraction, rate, f"{_name(way, fraction)}, rate {rate:g}", "selection")

    return tune(
        {"rate": sorted(TRAINING_SETTINGS[WAYS[way]].rates)}, make, results, further=FURTHER, seeds=scale.tuning_seeds
    )


def _tunings(scale: Scale, results: Results) -> dict[tuple[str, float], Tuning]:
    """The largest share is not searched: it takes the rate of the one before, where choosing costs less."""
    return {(way, share): _tuning(scale, way, share, results) for way in WAYS for share in scale.fractions[:-1]}


def cells(scale: Scale, seeds: int, results: Results) -> list[Cell]:
    """Rates chosen on selection for all shares but the largest; then all shares with all seeds."""
    tunings = _tunings(scale, results)
    tuning = [cell for one in tunings.values() for cell in one.cells]
    if not all(one.best for one in tunings.values()):
        return tuning
    final = [
        _cell(scale, way, fraction, chosen["rate"], _name(way, fraction), "test")
        for way in WAYS
        for fraction in scale.fractions
        for chosen in [tunings[way, min(fraction, scale.fractions[-2])].chosen]
    ]
    return tuning + with_seeds(final, seeds)


def notes(scale: Scale, results: Results) -> list[str]:
    """Which learning rates were chosen, and whether better may lie further out."""
    return [
        f"{_name(way, fraction)}: {tuning.told({'rate': 'rate'})}, chosen on selection"
        for (way, fraction), tuning in _tunings(scale, results).items()
        if tuning.best
    ]


def _name(way: str, fraction: float) -> str:
    return f"{way}, {_share(fraction)}"


def panels(scale: Scale, results: Results) -> list[Panel]:  # noqa: ARG001
    """Accuracy against the share of labels."""
    shares = {f"{100 * fraction:g}": fraction for fraction in scale.fractions}
    return [
        Panel(
            title="Networks trained on a share of the labels, top-1",
            rows=tuple(WAYS),
            columns=tuple(shares),
            entries={(way, share): (_name(way, shares[share]), "top1") for way in WAYS for share in shares},
            column_title="labels, %",
            paper={("fine-tuned", "1"): 48.3, ("fine-tuned", "10"): 65.6},
            paper_source="table 7: ResNet-50, ImageNet, top-1",
        )
    ]


def claims(scale: Scale, results: Results) -> list[Claim]:  # noqa: ARG001
    """Fine-tuned wins with few labels; the gap shrinks with labels."""
    few, more = scale.fractions[:2]

    def gap(fraction: float, sign: float = 1.0) -> dict[tuple[str, str], float]:
        return {
            (_name("fine-tuned", fraction), "top1"): sign,
            (_name("from scratch", fraction), "top1"): -sign,
        }

    return [
        Claim(
            text="With few labels fine-tuning beats training from scratch",
            paper="top-5 75.5 against 48.4 with 1 %, 87.8 against 80.4 with 10 % (table 7)",
            comparisons=tuple(
                Comparison(name=f"fine-tuned minus from scratch, {_share(fraction)}", weights=gap(fraction))
                for fraction in scale.fractions[:-1]
            ),
            why_not="The encoder was pretrained for a few epochs only.",
        ),
        Claim(
            text="The gap shrinks with more labels",
            paper="27.1 points of top-5 with 1 %, 7.4 with 10 % (table 7)",
            comparisons=(
                Comparison(
                    name=f"gap with {_share(few)} minus gap with {_share(more)}", weights=gap(few) | gap(more, -1.0)
                ),
            ),
            why_not="With so few labels the draws differ by several points, and there are few seeds.",
        ),
    ]


STUDY = Study(
    name="labels",
    asks="What is pretraining worth with few labels, and with many?",
    paper="Fine-tuned with 1 % of the labels it is far ahead of training from scratch; with 10 % less so (table 7).",
    cells=cells,
    panels=panels,
    claims=claims,
    notes=notes,
)
