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

LOSSES: dict[str, tuple[dict[str, Any], str]] = {  # name -> settings, what is tuned beside the learning rate
    "NT-Xent": ({"loss": "nt-xent"}, "temperature"),
    "NT-Logistic": ({"loss": "nt-logistic"}, "temperature"),
    "margin": ({"loss": "triplet"}, "margin"),
    "NT-Logistic, semi-hard": ({"loss": "nt-logistic", "semi_hard": True}, "temperature"),
    "margin, semi-hard": ({"loss": "triplet", "semi_hard": True}, "margin"),
}
PAPER = {
    "NT-Xent": 63.9,
    "NT-Logistic": 51.6,
    "margin": 50.9,
    "NT-Logistic, semi-hard": 57.9,
    "margin, semi-hard": 57.5,
}


def cells(scale: Scale, seeds: int, found: Found) -> list[Cell]:
    """Each loss with every rate and temperature (margin), short and on selection; the best of each at full length."""
    tuning = [cell for loss in LOSSES for cell in _tuning(scale, loss)]
    if not found.has(tuning):
        return tuning
    return tuning + with_seeds([Cell(name=loss, settings=_best(scale, found, loss)) for loss in LOSSES], seeds)


def _tuning(scale: Scale, loss: str) -> list[Cell]:
    settings, other = LOSSES[loss]
    short = {"epochs": scale.short * scale.epochs}
    return [
        Cell(
            name=f"{loss}, rate {rate:g}, {other} {value:g}",
            settings={**settings, "base_lr": rate, other: value, **short},
            on="selection",
        )
        for rate, value in product(scale.tuning["base_lr"], scale.tuning[other])
    ]


def _best(scale: Scale, found: Found, loss: str) -> Mapping[str, Any]:
    """The settings of the best tuning cell, at full length."""
    tuned = {cell.name: cell for cell in _tuning(scale, loss)}
    chosen = tuned[found.best(tuned, "top1")]
    return {name: value for name, value in chosen.settings.items() if name != "epochs"}


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
        ),
        Claim(
            text="NT-Xent beats NT-Logistic",
            paper="63.9 against 51.6 (table 4)",
            comparisons=(minus("NT-Xent", "NT-Logistic"),),
        ),
        Claim(
            text="NT-Xent beats the margin loss",
            paper="63.9 against 50.9 (table 4)",
            comparisons=(minus("NT-Xent", "margin"),),
        ),
        Claim(
            text="Semi-hard negatives help the others",
            paper="+6.3 and +6.6 (table 4)",
            comparisons=(minus("NT-Logistic, semi-hard", "NT-Logistic"), minus("margin, semi-hard", "margin")),
        ),
    ]


STUDY = Study(
    name="loss",
    asks="Which loss?",
    paper="NT-Xent beats NT-Logistic and the margin loss; semi-hard negatives help these two (table 4).",
    cells=cells,
    panels=panels,
    claims=claims,
)
