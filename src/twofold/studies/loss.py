"""Which loss: NT-Xent, NT-Logistic and the margin triplet, each tuned alike (paper, section 5.1 and table 4)."""

from collections.abc import Mapping
from itertools import product
from typing import Any

from twofold.studies.cell import Cell, with_seeds
from twofold.studies.claim import Claim, minus
from twofold.studies.found import Found
from twofold.studies.panel import Panel
from twofold.studies.scale import Scale
from twofold.studies.study import Study

LOSSES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {  # name -> settings, what is tuned
    "NT-Xent": ({"loss": "nt-xent"}, ("base_lr", "temperature")),
    "NT-Logistic": ({"loss": "nt-logistic"}, ("base_lr", "temperature")),
    "margin": ({"loss": "triplet"}, ("base_lr", "margin")),
    "NT-Logistic, semi-hard": (
        {"loss": "nt-logistic", "semi_hard": True},
        ("base_lr", "temperature", "margin"),  # the margin bounds what is semi-hard
    ),
    "margin, semi-hard": ({"loss": "triplet", "semi_hard": True}, ("base_lr", "margin")),
}
SHORT = {"base_lr": "rate", "temperature": "temperature", "margin": "margin"}
PAPER = {
    "NT-Xent": 63.9,
    "NT-Logistic": 51.6,
    "margin": 50.9,
    "NT-Logistic, semi-hard": 57.9,
    "margin, semi-hard": 57.5,
}


_SHORT_TUNING = (
    "At this length and batch the losses lie closer together than after the paper's training, and three seeds give "
    "wide intervals."
)


def cells(scale: Scale, seeds: int, found: Found) -> list[Cell]:
    """Each loss with every rate and temperature (margin), short and on selection; the best of each at full length."""
    tuning = [cell for loss in LOSSES for cell in _tuning(scale, loss)]
    if not found.has(tuning):
        return tuning
    return tuning + with_seeds([Cell(name=loss, settings=_best(scale, found, loss)) for loss in LOSSES], seeds)


def _tuning(scale: Scale, loss: str) -> list[Cell]:
    settings, tuned = LOSSES[loss]
    short = {"epochs": scale.short * scale.epochs}
    choices = [dict(zip(tuned, values, strict=True)) for values in product(*(scale.tuning[name] for name in tuned))]
    return [
        Cell(
            name=", ".join([loss, *(f"{SHORT[name]} {value:g}" for name, value in choice.items())]),
            settings={**settings, **choice, **short},
            on="selection",
        )
        for choice in choices
    ]


def _best(scale: Scale, found: Found, loss: str) -> Mapping[str, Any]:
    """The settings of the best tuning cell, at full length."""
    tuned = {cell.name: cell for cell in _tuning(scale, loss)}
    chosen = tuned[found.best(tuned, "top1")]
    return {name: value for name, value in chosen.settings.items() if name != "epochs"}


def notes(scale: Scale, found: Found) -> list[str]:
    """What was chosen for each loss, and whether it lies at the edge of what was tried."""
    sentences = []
    for loss, (_, tuned) in LOSSES.items():
        if not found.has(_tuning(scale, loss)):
            continue
        best = _best(scale, found, loss)
        chosen = ", ".join(f"{SHORT[name]} {best[name]:g}" for name in tuned)
        edges = [SHORT[name] for name in tuned if best[name] in (min(scale.tuning[name]), max(scale.tuning[name]))]
        at_edge = f" ({' and '.join(edges)} at the edge of what was tried)" if edges else ""
        sentences.append(f"{loss}: {chosen}{at_edge}, chosen on selection after {scale.short * scale.epochs:g} epochs")
    return sentences


def panels(scale: Scale, found: Found) -> list[Panel]:  # noqa: ARG001
    """Table 4."""
    column = "linear probe, top-1"
    return [
        Panel(
            title="Losses, each with its own best learning rate and temperature or margin",
            rows=tuple(LOSSES),
            columns=(column,),
            entries={(loss, column): (loss, "top1") for loss in LOSSES},
            kind="dots",
            paper={(loss, column): PAPER[loss] for loss in LOSSES},
            paper_source="table 4: ResNet-50, ImageNet, linear top-1",
        )
    ]


def claims(scale: Scale, found: Found) -> list[Claim]:  # noqa: ARG001
    """NT-Xent beats the others; semi-hard negatives help these."""
    return [
        Claim(
            text="NT-Xent beats NT-Logistic and the margin loss, with and without semi-hard negatives",
            paper="63.9 against 57.9 at most (table 4)",
            comparisons=tuple(minus("NT-Xent", loss) for loss in LOSSES if loss != "NT-Xent"),
            why_not=_SHORT_TUNING,
        ),
        Claim(
            text="NT-Xent beats NT-Logistic",
            paper="63.9 against 51.6 (table 4)",
            comparisons=(minus("NT-Xent", "NT-Logistic"),),
            why_not=_SHORT_TUNING,
        ),
        Claim(
            text="NT-Xent beats the margin loss",
            paper="63.9 against 50.9 (table 4)",
            comparisons=(minus("NT-Xent", "margin"),),
            why_not=_SHORT_TUNING,
        ),
        Claim(
            text="Semi-hard negatives help the others",
            paper="+6.3 and +6.6 (table 4)",
            comparisons=(minus("NT-Logistic, semi-hard", "NT-Logistic"), minus("margin, semi-hard", "margin")),
            why_not="With a batch of 256 there are few negatives, and semi-hard ones among them fewer still.",
        ),
    ]


STUDY = Study(
    name="loss",
    asks="Which loss?",
    paper="NT-Xent beats NT-Logistic and the margin loss; semi-hard negatives help these two (table 4).",
    cells=cells,
    panels=panels,
    claims=claims,
    notes=notes,
)
