"""Test images with a copy in train, and what they do to the accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from twofold.curation.embedded import Embedded
from twofold.evaluation.knn import knn_votes, neighbour_count
from twofold.evaluation.sentences import signed_points

_DRAWS = 2000


@dataclass(frozen=True)
class LeakEffect:
    """k-NN top-1 accuracy on test, of all images and of those without a copy in train; fractions in [0, 1]."""

    test: int
    leaked: int
    accuracy: float
    accuracy_without: float
    difference: float  # accuracy - accuracy_without
    low: float  # 95 % interval of the difference: bootstrap over test images or their groups, the same for both
    high: float

    def sentence(self) -> str:
        """For people."""
        return (
            f"k-NN accuracy on test {self.accuracy:.1%}; without the {self.leaked:,} of {self.test:,} images that have "
            f"a copy in train {self.accuracy_without:.1%}: {signed_points(self.difference, 2)} points "
            f"(95 % interval {signed_points(self.low, 2)} to {signed_points(self.high, 2)})"
        )


def leaked_rows(groups: Sequence[Sequence[int]], splits: Sequence[str]) -> Int64[np.ndarray, " k"]:
    """Rows of test that share a group with a row of train, sorted."""
    leaked = [
        row for group in groups if "train" in {splits[row] for row in group} for row in group if splits[row] == "test"
    ]
    return np.array(sorted(leaked), np.int64)


def effect_of_leaks(embedded: Embedded, leaked: Int64[np.ndarray, " k"], *, seed: int = 0) -> LeakEffect | None:
    """The accuracy with and without the `leaked` rows of test; None where nothing is left to compare."""
    ids = embedded.class_ids
    train, test = (rows[ids[rows] >= 0] for rows in (embedded.rows("train"), embedded.rows("test")))
    is_leak = np.isin(test, leaked)
    if len(train) == 0 or not is_leak.any() or is_leak.all() or len(embedded.classes) < 2:
        return None
    k = neighbour_count(len(train), len(embedded.classes))
    h = embedded.h
    votes = knn_votes(np.ascontiguousarray(h[test]), h[train], ids[train], classes=len(embedded.classes), k=k)
    right = (votes.argmax(1) == ids[test]).astype(np.float64)
    groups = embedded.groups_of(test)
    units = np.arange(len(test)) if groups is None else np.unique(groups, return_inverse=True)[1]
    count = int(units.max()) + 1
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=_DRAWS)[:, units]
    rest = draws[:, ~is_leak]
    differences = draws @ right / draws.sum(1) - rest @ right[~is_leak] / np.maximum(rest.sum(1), 1)
    low, high = np.quantile(differences, [0.025, 0.975])
    accuracy, without = float(right.mean()), float(right[~is_leak].mean())
    return LeakEffect(len(test), int(is_leak.sum()), accuracy, without, accuracy - without, float(low), float(high))
