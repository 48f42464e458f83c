"""Labels for images that have none, each with how sure it is; unsure and strange ones are kept apart."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float64, Int64

from twofold.curation.classifier import Classifier
from twofold.curation.tables import write_csv
from twofold.evaluation.intervals import share_interval

LABEL, UNSURE, UNLIKE = "label", "unsure", "unlike anything labelled"


@dataclass(frozen=True, eq=False, kw_only=True)
class Answers:
    """What a classifier says of m images. Labelled ones are judged by labels of other folds alone."""

    paths: list[str]
    given: list[str | None]  # labels that were given
    probabilities: Float64[np.ndarray, "m c"]
    novelty: Float64[np.ndarray, " m"]  # p-values in (0, 1]
    classifier: Classifier
    most_wrong: float  # share of wrong answers at most, at 90 % confidence, in (0, 1)
    most_flagged: float  # share of ordinary images that are called unlike anything labelled, at most, in (0, 1)

    @cached_property
    def decisions(self) -> list[str]:
        """`label`, `unsure`, or `unlike anything labelled`."""
        threshold = self.classifier.answer_threshold(self.most_wrong)
        sure = self.probabilities.max(1) >= (np.inf if threshold is None else threshold)
        return [
            UNLIKE if strange else LABEL if answered else UNSURE
            for answered, strange in zip(sure, self.novelty <= self.most_flagged, strict=True)
        ]

    @cached_property
    def ranked(self) -> Int64[np.ndarray, "m 2"]:
        """The likeliest class of each image and the second."""
        return np.argsort(-self.probabilities, axis=1, kind="stable")[:, :2].astype(np.int64)

    def rethreshold(self, most_wrong: float) -> "Answers":
        """The same answers with another promise."""
        return replace(self, most_wrong=most_wrong)

    def sets(self, coverage: float) -> list[list[str]]:
        """For each image the classes among which the true one is, for at least a share `coverage` of such images."""
        threshold, names = self.classifier.set_threshold(coverage), self.classifier.classes
        return [[names[k] for k in np.flatnonzero(row >= threshold)] for row in self.probabilities]

    def borderline(self, count: int = 20) -> Int64[np.ndarray, " k"]:
        """The rows without a given label whose confidence is nearest to the least that is answered, the surest first.

        Empty where nothing is answered.
        """
        threshold = self.classifier.answer_threshold(self.most_wrong)
        if threshold is None:
            return np.zeros(0, np.int64)
        best = self.probabilities.max(1)
        rows = np.array([row for row, given in enumerate(self.given) if given is None], np.int64)
        near = rows[np.argsort(np.abs(best[rows] - threshold), kind="stable")[:count]]
        return near[np.argsort(-best[near], kind="stable")]

    def unsure(self, count: int) -> Int64[np.ndarray, " k"]:
        """Up to `count` rows without a given label that were not answered, the least sure first."""
        open_rows = [
            row
            for row, (decision, given) in enumerate(zip(self.decisions, self.given, strict=True))
            if decision != LABEL and given is None
        ]
        best = self.probabilities[open_rows].max(1) if open_rows else np.zeros(0)
        return np.array(open_rows, np.int64)[np.argsort(best, kind="stable")[:count]]

    def columns(self) -> dict[str, list[object]]:
        """The columns of the tables."""
        names, rows = self.classifier.classes, np.arange(len(self.paths))
        first, second = self.ranked.T
        return {
            "path": list(self.paths),
            "label": [names[k] for k in first],
            "probability": self.probabilities[rows, first].tolist(),
            "second_label": [names[k] for k in second],
            "second_probability": self.probabilities[rows, second].tolist(),
            "novelty_p": self.novelty.tolist(),
            "decision": list(self.decisions),
            "given": list(self.given),
        }

    def to_csv(self, path: Path) -> Path:
        """Write them as CSV. Raises TwofoldError where something else is there."""
        return write_csv(path, self.columns())

    def to_parquet(self, path: Path) -> Path:
        """Write them as parquet; an earlier file is replaced."""
        pq.write_table(pa.table(self.columns()), path)
        return path

    @cached_property
    def expected(self) -> dict[str, tuple[float, float, float, int]]:
        """(accuracy, low, high, labelled images), 95 %: of "all", of what is "answered", and of each class.

        Counted on the labelled images, each judged by labels of other folds: what to expect of images like these. A
        class that is in one group alone is missing: other folds do not hold it.
        """
        classifier = self.classifier
        threshold = classifier.answer_threshold(self.most_wrong)
        sure = classifier.held_out.max(1) >= (np.inf if threshold is None else threshold)
        parts = {"all": np.ones(len(classifier.ids), bool), "answered": sure}
        parts |= {f"class {name}": classifier.ids == k for k, name in enumerate(classifier.classes)}
        groups, counted = classifier.groups, classifier.counted
        parts = {name: own & counted for name, own in parts.items()}
        return {
            name: (*share_interval(classifier.right[own], None if groups is None else groups[own]), int(own.sum()))
            for name, own in parts.items()
            if own.any()
        }


def answer(
    h: np.ndarray,
    paths: list[str],
    classifier: Classifier,
    *,
    labelled_rows: Int64[np.ndarray, " n"] | None = None,
    most_wrong: float = 0.05,
    most_flagged: float = 0.01,
) -> Answers:
    """Label the images with embeddings h (m, d). `labelled_rows` are the places of the classifier's labelled images."""
    probabilities, novelty, given = classifier.probabilities(h), classifier.novelty(h), [None] * len(h)
    labels: list[str | None] = list(given)
    if labelled_rows is not None:
        probabilities[labelled_rows], novelty[labelled_rows] = classifier.held_out, classifier.own_novelty
        for row, k in zip(labelled_rows, classifier.ids, strict=True):
            labels[row] = classifier.classes[k]
    return Answers(
        paths=paths,
        given=labels,
        probabilities=probabilities,
        novelty=novelty,
        classifier=classifier,
        most_wrong=most_wrong,
        most_flagged=most_flagged,
    )
