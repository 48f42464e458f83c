"""A trained encoder in, figures out, beside the untrained encoder, raw pixels and training from scratch.

`predict` makes every prediction with the labels of train alone, `score` counts what is right, `summarize` makes rows,
paired differences and their intervals of that. One data set, or another one that the encoder is transferred to.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from twofold.data import ImageSet
from twofold.evaluation.features import Subject, head_part
from twofold.evaluation.jobs import plan_jobs, work_through
from twofold.evaluation.labels import is_unequal, label_count, read_truth
from twofold.evaluation.network_sentences import training_sentences
from twofold.evaluation.predictions import (
    Predictions,
    PredictionStore,
    chosen,
    class_intervals,
    confusion,
    majority_answer,
)
from twofold.evaluation.scope import Scope, Settings, find_scope, open_store
from twofold.evaluation.scores import (
    PAIRS,
    Difference,
    Row,
    Sampling,
    Way,
    build_rows,
    compare,
    score,
)
from twofold.evaluation.sentences import edge_sentences, majority_sentence, protocol_sentences, result_sentences
from twofold.recipes.recipe import DataRecipe

Say = Callable[[str], None]


def _silent(line: str) -> None:
    """Nothing is said."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the trained encoder's main probe or network said about each test image."""

    rows: Int64[np.ndarray, " m"]  # of the image set
    truth: Int64[np.ndarray, " m"]
    predictions: Predictions


@dataclass(frozen=True)
class Evaluation:
    """`rows` are the figures, `differences` compare them in pairs, `details` say how they came about (for JSON).

    `stores` hold what was predicted on the way; whoever has written the figures down forgets them.
    """

    rows: list[Row]
    details: dict[str, Any]
    differences: list[Difference]
    answers: Answers
    stores: tuple[PredictionStore, ...] = ()
    test_from: str = "own"  # what is tested on: "own" split, "validation" images, "cut" off train by seed, or "folds"
    about_test: str = "the data's own test split"  # the same as a sentence
    predictions: tuple[Predictions, ...] = ()  # for every test image, by every protocol and draw
    train: tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]] | None = None  # labelled rows and their classes
    groups: Int64[np.ndarray, " m"] | None = None  # of the test images
    folds: Mapping[int, Int64[np.ndarray, " m"]] = field(default_factory=dict)  # by seed, where it is cross-validated


def evaluate_encoder(
    subject: Subject,
    images: ImageSet,
    settings: Settings,
    *,
    data: DataRecipe,
    others: Sequence[Subject] = (),
    keep: Path | None = None,
    say: Say = _silent,
) -> Evaluation:
    """Measure `subject` beside its baselines, and `others` on the same draws without; test labels are read last.

    With all labels, the seeds vary the selection split and the untrained weights; with some labels per class, they vary
    the labelled subset, on the untrained weights of seed % seeds, and figures on the same weights are averaged before
    the interval is taken. With the subject's `head`, the linear probe can be fitted on its layers too. `keep` is a
    folder for what has been measured so far, of any number of data sets and encoders: the same call after an
    interruption goes on there and ends in the same rows; the caller has the stores forget it.
    Raises TwofoldError for data that cannot be measured on and for embeddings that are not finite.
    """
    if settings.start != "h":
        head_part(subject.head, settings.start)
    scope = find_scope(images, settings, data)
    for line in scope.notes:
        say(f"  {line}")
    named = dict.fromkeys("linear" if name == "layers" else name for name in settings.protocols)
    own = tuple(name for name in named if name != "supervised")  # which is a baseline of all encoders
    parts = [(subject, scope)]
    if own:
        alone = replace(scope, settings=replace(settings, protocols=own, start="h", baselines=False))
        parts += [(other, alone) for other in others]
    predictions, stores = list[Predictions](), list[PredictionStore]()
    for one, part in parts:
        stores.append(open_store(one, part, keep))
        predictions += predict(one, part, stores[-1], say=say)
    compared = ("linear", "knn", "finetune", "self-train")
    pairs = [((name, "trained"), (name, other.name)) for other in others for name in compared]
    return summarize(scope, predictions, data, pairs=[*PAIRS, *pairs], stores=tuple(stores))


def predict(subject: Subject, scope: Scope, store: PredictionStore, *, say: Say = _silent) -> list[Predictions]:
    """Everything that is to be predicted, with the labels of train alone; what the store holds is not repeated."""
    rows = scope.rows
    on = (
        f"{len(rows.train):,} train and {len(rows.test):,} test" if not scope.parts else f"{len(rows.train):,} labelled"
    )
    say(f"Measuring on {on} images of '{scope.images.name}'")
    return work_through(plan_jobs(subject, scope, store), store, say)


def summarize(
    scope: Scope,
    predictions: Sequence[Predictions],
    data: DataRecipe,
    pairs: Sequence[tuple[Way, Way]] = PAIRS,
    *,
    stores: tuple[PredictionStore, ...] = (),
) -> Evaluation:
    """Read the labels of test, count, and compare: nothing is fitted from here on."""
    truth = read_truth(scope.images, scope.rows)
    scores = score(predictions, truth, len(scope.rows.classes), scope.rows.train_ids)
    sampling = Sampling(
        truth=truth,
        groups=scope.rows.test_groups,
        taken=scope.taken,
        leading="mean_per_class" if is_unequal(scope.rows.train_ids) else "top1",
        folds=scope.fold_numbers,
    )
    rows = build_rows(scores, scope.budgets, sampling)
    answers = Answers(rows=scope.rows.test, truth=truth, predictions=_main(predictions))
    differences = compare(scores, scope.budgets, sampling, pairs)
    details = _details(scope, data, predictions, answers, differences)
    about_test = [finding.text for finding in scope.images.findings if finding.code in ("TF001", "TF002")]
    if scope.parts:
        about_test = scope.notes[:1]
    evaluation = Evaluation(
        rows,
        details,
        differences,
        answers,
        stores,
        "folds" if scope.parts else scope.images.test_from or "own",
        predictions=tuple(predictions),
        train=(scope.rows.train, scope.rows.train_ids),
        groups=scope.rows.test_groups,
        folds=scope.fold_numbers,
    )
    return replace(evaluation, about_test=about_test[0]) if about_test else evaluation


def _main(predictions: Sequence[Predictions]) -> Predictions:
    """The trained encoder's first ones with all labels, by the linear probe where there is one."""
    mine = [one for one in predictions if one.encoder == "trained"]
    return min(mine or predictions, key=lambda one: (one.labels != "all", one.protocol != "linear"))


def _details(
    scope: Scope,
    data: DataRecipe,
    predictions: Sequence[Predictions],
    answers: Answers,
    differences: Sequence[Difference],
) -> dict[str, Any]:
    settings, main = scope.settings, answers.predictions
    majority = majority_answer(scope.rows.train_ids, answers.truth, scope.rows.classes)
    edges = edge_sentences(predictions, settings.grid)
    converged = [one.converged for one in predictions if one.protocol == "linear"]
    return {
        "data": scope.images.name,
        "train": len(scope.fitted.train),
        "selection": len(scope.selection[0][1]),
        "test": len(scope.rows.test),
        "cross_validated": bool(scope.parts),
        "caveats": scope.caveats,
        "taken": {str(labels): share for labels, share in scope.taken.items()},
        "test_also_in_train": scope.shared.test_also_in_train,
        "conflicting_labels": scope.shared.conflicting_labels,
        "classes": scope.rows.classes,
        "protocols": [*settings.probes, *settings.trained],
        "labels_per_class": {
            str(labels): label_count(scope.fitted, labels) / len(scope.rows.classes) for labels in scope.budgets
        },
        "main": {name: getattr(main, name) for name in ("protocol", "encoder", "labels")},
        "confusion": confusion(answers.truth, main.predicted, len(scope.rows.classes)).tolist(),
        "majority": majority,
        "per_class": class_intervals(scope.rows.classes, answers.truth, main.predicted, scope.rows.test_groups),
        "seconds": round(sum(one.seconds for one in predictions), 3),
        "differences": [difference.to_dict() for difference in differences],
        "l2_grid": list(settings.grid),
        "edges": edges,
        **chosen(predictions),
        "stated": [
            *(finding.text for finding in scope.images.findings if not scope.parts or finding.code != "TF001"),
            *scope.notes,
            *protocol_sentences(data, scope),
            majority_sentence(majority),
            *result_sentences(converged),
            *(training_sentences(predictions) if settings.trained else ()),
            *edges,
        ],
    }
