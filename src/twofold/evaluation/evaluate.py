"""A trained encoder in, figures out, beside the untrained encoder, raw pixels and training from scratch.

First everything is fitted and predicted, with the labels of train alone; then one function counts what is right.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from torch import nn

from twofold import __version__
from twofold.data import ImageSet
from twofold.evaluation.attempt import Attempt
from twofold.evaluation.budgets import labels_per_class
from twofold.evaluation.comparing import PAIRS, Difference, Way, compare
from twofold.evaluation.embed import Hardware
from twofold.evaluation.labelled import read_truth
from twofold.evaluation.ledger import Ledger
from twofold.evaluation.metrics import confusion, per_class, wilson_interval
from twofold.evaluation.plan import plan_units
from twofold.evaluation.progress import work_through
from twofold.evaluation.rates import measure_rates
from twofold.evaluation.scope import Scope, Settings, find_scope
from twofold.evaluation.scoring import build_rows, count_right
from twofold.evaluation.stated import protocol_sentences, result_sentences
from twofold.evaluation.subject import Subject
from twofold.evaluation.table import ENCODERS, Row
from twofold.evaluation.training import head_part
from twofold.recipes.kinds import as_kind, as_several
from twofold.recipes.recipe import DataRecipe, ViewsRecipe

Say = Callable[[str], None]


def _silent(line: str) -> None:
    """Nothing is said."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the trained encoder's main probe or network said about each test picture."""

    rows: Int64[np.ndarray, " m"]  # of the image set
    truth: Int64[np.ndarray, " m"]
    attempt: Attempt


@dataclass(frozen=True)
class Evaluation:
    """`rows` are the figures, `differences` compare them in pairs, `details` say how they came about (for JSON).

    `ledgers` hold what was measured on the way; whoever has written the figures down forgets them.
    """

    rows: list[Row]
    details: dict[str, Any]
    differences: list[Difference]
    answers: Answers
    ledgers: tuple[Ledger, ...] = ()


def evaluate_encoder(
    encoder: nn.Module,
    *,
    untrained: Callable[[int], nn.Module],
    images: ImageSet,
    views: ViewsRecipe,
    data: DataRecipe,
    hardware: Hardware,
    head: nn.Sequential | None = None,
    protocols: str | Sequence[str] = ("knn", "linear"),
    seeds: int = 5,
    few_seeds: int = 20,
    shots: int | Sequence[int] = (1, 5, 10, 50),
    fractions: float | Sequence[float] = (),
    start: str = "h",
    epochs: float | None = None,
    keep: Path | None = None,
    say: Say = _silent,
) -> Evaluation:
    """Measure by `protocols` (knn, linear, layers, sgd, finetune, supervised) with all labels and with few.

    `untrained(seed)` gives the same encoder with fresh weights. With all labels, `seeds` vary the selection split and
    the untrained weights; with `shots` labels per class, `few_seeds` vary the labelled subset, on the untrained weights
    of seed % seeds, and figures on the same weights are averaged before the interval is taken. With `fractions` of
    the labels, and for every network that is trained, there are `seeds` subsets. With the `head`, the linear probe is
    also fitted on its layers. `keep` is a folder for what has been measured so far: the same call after an
    interruption goes on there and ends in the same rows; the caller has the ledgers forget it.
    Raises TwofoldError for data that cannot be measured on and for embeddings that are not finite.
    """
    settings = Settings(
        protocols=as_several("protocol", protocols, str),
        seeds=tuple(range(as_kind("seeds", seeds, int))),
        few_seeds=tuple(range(as_kind("few_seeds", few_seeds, int))),
        shots=as_several("shots", shots, int),
        fractions=as_several("label_fraction", fractions, float),
        start=start,
        epochs=epochs,
    )
    subject = Subject(encoder=encoder, untrained=untrained, views=views, hardware=hardware, head=head)
    if start != "h":
        head_part(head, start)
    scope = find_scope(images, settings, data)
    for line in scope.stated:
        say(line)
    ledger = open_ledger(subject, scope, keep)
    return conclude(scope, make_attempts(subject, scope, ledger=ledger, say=say), data, ledgers=(ledger,))


def conclude(
    scope: Scope,
    attempts: Sequence[Attempt],
    data: DataRecipe,
    pairs: Sequence[tuple[Way, Way]] = PAIRS,
    *,
    ledgers: tuple[Ledger, ...] = (),
) -> Evaluation:
    """Read the labels of test, count, and compare: nothing is fitted from here on."""
    truth = read_truth(scope.images, scope.labelled)
    scores = count_right(attempts, truth, len(scope.labelled.classes))
    rows = build_rows(scores, scope.budgets)
    answers = Answers(rows=scope.labelled.test, truth=truth, attempt=_main(attempts))
    differences = compare(scores, scope.budgets, pairs)
    details = _details(scope, data, attempts, rows, answers, differences)
    return Evaluation(rows, details, differences, answers, ledgers)


def open_ledger(subject: Subject, scope: Scope, keep: Path | None) -> Ledger:
    """What the folder `keep` holds, or will hold, of exactly these measurements."""
    return Ledger(keep, _key(subject, scope))


def make_attempts(subject: Subject, scope: Scope, *, ledger: Ledger, say: Say = _silent) -> list[Attempt]:
    """Everything that is to be predicted, with the labels of train alone; what the ledger holds is not repeated."""
    say(
        f"Measuring on {len(scope.labelled.train):,} train and {len(scope.labelled.test):,} test pictures of "
        f"'{scope.images.name}'"
    )
    units = plan_units(subject, scope, ledger, measure_rates(subject, scope))
    return work_through(units, ledger, say)


def _key(subject: Subject, scope: Scope) -> dict[str, Any]:
    """Everything that the predictions depend on."""
    return {
        "version": __version__,
        "name": subject.name,
        "weights": _weights_digest(subject.encoder),
        "head": _weights_digest(subject.head) if subject.head is not None else None,
        "precision": getattr(subject.hardware, "precision", None),
        "pictures": scope.images.fingerprint,  # and splits, but not labels
        "labels": [scope.labelled.classes, scope.labelled.train.tolist(), scope.labelled.train_ids.tolist()],
        "test": scope.labelled.test.tolist(),
        "views": subject.views,
        "settings": scope.settings,
        "folds": [[cut.tolist() for _, cut in folds] for folds in scope.folds.values()],
    }


def _weights_digest(module: nn.Module) -> str:
    digest = blake2b(digest_size=16)
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _main(attempts: Sequence[Attempt]) -> Attempt:
    """The trained encoder's first attempt with all labels, by the linear probe where there is one."""
    mine = [attempt for attempt in attempts if attempt.encoder == "trained"]
    return min(mine or attempts, key=lambda attempt: (attempt.labels != "all", attempt.protocol != "linear"))


def _details(
    scope: Scope,
    data: DataRecipe,
    attempts: Sequence[Attempt],
    rows: Sequence[Row],
    answers: Answers,
    differences: Sequence[Difference],
) -> dict[str, Any]:
    labelled, settings = scope.labelled, scope.settings
    converged = [attempt.converged for attempt in attempts if attempt.protocol == "linear"]
    return {
        "data": scope.images.name,
        "train": len(labelled.train),
        "selection": len(scope.folds[settings.seeds[0]][0][1]),
        "test": len(labelled.test),
        "test_also_in_train": scope.shared.test_also_in_train,
        "conflicting_labels": scope.shared.conflicting_labels,
        "classes": labelled.classes,
        "protocols": [*settings.probes, *settings.trained],
        "labels_per_class": {str(labels): labels_per_class(labelled, labels) for labels in scope.budgets},
        "main": {name: getattr(answers.attempt, name) for name in ("protocol", "encoder", "labels")},
        "confusion": confusion(answers.truth, answers.attempt.predicted, len(labelled.classes)).tolist(),
        "per_class": _per_class(labelled.classes, answers),
        "seconds": round(sum(attempt.seconds for attempt in attempts), 3),
        "differences": [difference.to_dict() for difference in differences],
        "l2_grid": list(settings.grid),
        **_chosen(attempts),
        "stated": [
            *scope.images.stated,
            *scope.stated,
            *protocol_sentences(data, scope),
            *result_sentences(rows, len(labelled.test), converged),
        ],
    }


def _per_class(classes: Sequence[str], answers: Answers) -> list[dict[str, Any]]:
    """The share of each class that is right, with Wilson's interval over its test pictures."""
    shares = per_class(answers.truth, answers.attempt.predicted, len(classes))
    counts = np.bincount(answers.truth, minlength=len(classes))
    found = []
    for name, share, count in zip(classes, shares.tolist(), counts.tolist(), strict=True):
        low, high = wilson_interval(share, count)
        found.append({"class": name, "count": count, "share": share, "low": low, "high": high})
    return found


def _chosen(attempts: Sequence[Attempt]) -> dict[str, Any]:
    """What was chosen: L2 per encoder with all labels, and per encoder and budget; rates per protocol and budget."""
    with_all: dict[str, list[float]] = {}
    with_few: dict[str, dict[str, list[float]]] = {}
    rates: dict[str, dict[str, float]] = {}
    for attempt in attempts:
        if attempt.base_lr is not None:
            own = attempt.encoder in ENCODERS
            name = attempt.protocol if own else f"{attempt.protocol}, {attempt.encoder}"
            rates.setdefault(name, {})[str(attempt.labels)] = attempt.base_lr
        elif attempt.l2 is not None and attempt.labels == "all":
            with_all.setdefault(attempt.encoder, []).append(attempt.l2)
        elif attempt.l2 is not None:
            with_few.setdefault(attempt.encoder, {}).setdefault(str(attempt.labels), []).append(attempt.l2)
    return {"chosen_l2": with_all, "chosen_l2_few": with_few, "chosen_base_lr": rates}
