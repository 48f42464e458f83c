"""What a pretrained encoder is worth with few labels and with many (paper, section 6 and table 7)."""

from typing import Any

from twofold.evaluation.tuning import MANNERS
from twofold.studies.cell import Cell, with_seeds
from twofold.studies.claim import Claim, Comparison
from twofold.studies.found import Found
from twofold.studies.panel import Panel
from twofold.studies.scale import Scale
from twofold.studies.study import Study

WAYS = {"from scratch": "supervised", "fine-tuned": "finetune"}  # the first does not wait for an encoder

STEP = 4.0  # between neighbouring rates
MOST_RATES = 6


def _share(fraction: float) -> str:
    return f"{100 * fraction:g} %"


def _cell(scale: Scale, way: str, fraction: float, rate: float, name: str, on: str) -> Cell:
    """A network trained on a share of the labels; the encoder under a fine-tuned one is pretrained for the longest."""
    options: dict[str, Any] = {"way": WAYS[way], "fraction": fraction, "base_lr": rate}
    if fraction in scale.label_epochs:
        options["epochs"] = scale.label_epochs[fraction]
    settings = {"epochs": scale.pretrained * scale.epochs}
    return Cell(name=name, settings=settings, measure="trained on labels", options=options, on=on)


def _tuning(scale: Scale, way: str, fraction: float, found: Found) -> dict[float, Cell]:
    """Learning rate -> cell on selection: the paper's and its neighbours, and further ones while the last is best."""
    tried: dict[float, Cell] = {}
    rates = sorted(MANNERS[WAYS[way]].rates)
    while rates and len(tried) < MOST_RATES:
        for rate in rates:
            name = f"{way}, {_share(fraction)}, rate {rate:g}"
            tried[rate] = _cell(scale, way, fraction, rate, name, "selection")
        rates = _beyond(tried, found)
    return tried


def _beyond(tried: dict[float, Cell], found: Found) -> list[float]:
    """The next rate, where all are measured and the lowest or the highest is strictly the best."""
    if not found.has(tried.values()):
        return []
    top1s = {rate: found.mean(cell.name, "top1", "selection") for rate, cell in tried.items()}
    best = max(top1s, key=lambda rate: top1s[rate])
    if list(top1s.values()).count(top1s[best]) > 1:
        return []
    return [STEP * best] if best == max(tried) else [best / STEP] if best == min(tried) else []


def _best(scale: Scale, way: str, fraction: float, found: Found) -> float:
    """The best rate of a share; the largest share takes that of the one before, on which choosing costs less."""
    tried = _tuning(scale, way, min(fraction, scale.fractions[-2]), found)
    name = found.best([cell.name for cell in tried.values()], "top1")
    return next(rate for rate, cell in tried.items() if cell.name == name)


def cells(scale: Scale, seeds: int, found: Found) -> list[Cell]:
    """Rates chosen on selection for all shares but the largest; then all shares with all seeds."""
    pairs = [(way, fraction) for way in WAYS for fraction in scale.fractions[:-1]]
    tuning = [cell for way, fraction in pairs for cell in _tuning(scale, way, fraction, found).values()]
    if not found.has(tuning):
        return tuning
    final = [
        _cell(scale, way, fraction, _best(scale, way, fraction, found), _name(way, fraction), "test")
        for way in WAYS
        for fraction in scale.fractions
    ]
    return tuning + with_seeds(final, seeds)


def notes(scale: Scale, found: Found) -> list[str]:
    """Which learning rates were chosen."""
    pairs = [(way, fraction) for way in WAYS for fraction in scale.fractions[:-1]]
    return [
        f"{way}, {_share(fraction)}: rate {_best(scale, way, fraction, found):g} of {len(tried)}, chosen on selection"
        for way, fraction in pairs
        if found.has((tried := _tuning(scale, way, fraction, found)).values())
    ]


def _name(way: str, fraction: float) -> str:
    return f"{way}, {_share(fraction)}"


def panels(scale: Scale, found: Found) -> list[Panel]:  # noqa: ARG001
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


def claims(scale: Scale, found: Found) -> list[Claim]:  # noqa: ARG001
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
