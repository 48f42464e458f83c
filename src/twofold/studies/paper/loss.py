"""Which loss: NT-Xent, NT-Logistic and the margin triplet, each tuned alike (paper, section 5.1 and table 4)."""

from typing import Any

from twofold.studies.engine.cell import Cell
from twofold.studies.engine.claim import Claim, minus
from twofold.studies.engine.panel import Panel
from twofold.studies.engine.results import Results
from twofold.studies.engine.scale import Scale
from twofold.studies.engine.study import Study
from twofold.studies.engine.tuning import TUNING_SEED, Tuning, Values, tune

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
    "At this length and batch the losses lie closer together than after the paper's training, and few seeds give "
    "wide intervals."
)


def _tuning(scale: Scale, loss: str, results: Results) -> Tuning:
    settings, tuned = LOSSES[loss]

    def make(values: Values) -> Cell:
        name = ", ".join([loss, *(f"{SHORT[name]} {value:g}" for name, value in values.items())])
        epochs = scale.short * scale.epochs
        seed = TUNING_SEED if scale.tuned else 0
        return Cell(name=name, settings={**settings, **values, "epochs": epochs}, on="selection", seed=seed)

    return tune({name: scale.tuning[name] for name in tuned}, make, results, seeds=scale.tuning_seeds)


def cells(scale: Scale, seeds: int, results: Results) -> list[Cell]:
    """Each loss with every rate and temperature (margin), short and on selection; the best of each at full length."""
    tunings = {loss: _tuning(scale, loss, results) for loss in LOSSES}
    tuning = [cell for one in tunings.values() for cell in one.cells]
    if not all(one.best for one in tunings.values()):
        return tuning
    final = [Cell(name=loss, settings={**LOSSES[loss][0], **one.chosen}) for loss, one in tunings.items()]
    return tuning + scale.repeated(final, seeds)


def notes(scale: Scale, results: Results) -> list[str]:
    """What was chosen for each loss, and whether better may lie further out."""
    after = f"after {scale.short * scale.epochs:g} epochs"
    return [
        f"{loss}: {tuning.told(SHORT)}, chosen on selection {after}"
        for loss in LOSSES
        if (tuning := _tuning(scale, loss, results)).best
    ]


def panels(scale: Scale, results: Results) -> list[Panel]:  # noqa: ARG001
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


def claims(scale: Scale, results: Results) -> list[Claim]:  # noqa: ARG001
    """NT-Xent beats the others; semi-hard negatives help these."""
    return [
        Claim(
            text="NT-Xent beats NT-Logistic and the margin loss, with and without semi-hard negatives",
            paper="63.9 against 57.9 at most (table 4)",
            comparisons=tuple(minus("NT-Xent", loss) for loss in LOSSES if loss != "NT-Xent"),
            why_not=_SHORT_TUNING,
            settled=True,
        ),
        Claim(
            text="NT-Xent beats NT-Logistic",
            paper="63.9 against 51.6 (table 4)",
            comparisons=(minus("NT-Xent", "NT-Logistic"),),
            why_not=_SHORT_TUNING,
            settled=True,
        ),
        Claim(
            text="NT-Xent beats the margin loss",
            paper="63.9 against 50.9 (table 4)",
            comparisons=(minus("NT-Xent", "margin"),),
            why_not=_SHORT_TUNING,
            settled=True,
        ),
        Claim(
            text="Semi-hard negatives help the others",
            paper="+6.3 and +6.6 (table 4)",
            comparisons=(minus("NT-Logistic, semi-hard", "NT-Logistic"), minus("margin, semi-hard", "margin")),
            why_not="With a batch of 256 there are few negatives, and semi-hard ones among them fewer still.",
            settled=True,
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
