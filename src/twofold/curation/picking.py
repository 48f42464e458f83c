"""Images to label, by one of four methods, and what picking them is worth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64

from twofold.curation.embedded import Embedded
from twofold.curation.tables import write_csv
from twofold.curation.typical import pick_cover, pick_typical
from twofold.curation.uncertain import pick_uncertain, probabilities_from
from twofold.errors import TwofoldError, require, require_choice
from twofold.evaluation.intervals import estimate
from twofold.evaluation.sentences import signed_interval, signed_points

METHODS = ("typical", "cover", "uncertain", "random")


@dataclass(frozen=True, eq=False, kw_only=True)
class Picks:
    """Rows to label, the first first, with what a classifier suggests where there is one."""

    rows: Int64[np.ndarray, " b"]
    method: str
    paths: Sequence[str]
    suggestions: Sequence[str | None]
    probabilities: Sequence[float | None]

    def to_csv(self, path: Path | str) -> Path:
        """Write order, path, suggestion, probability. Raises TwofoldError as `write_csv` does."""
        columns: dict[str, Sequence[object]] = {
            "order": list(range(1, len(self.rows) + 1)),
            "path": [self.paths[row] for row in self.rows.tolist()],
            "suggestion": self.suggestions,
            "probability": self.probabilities,
        }
        return write_csv(Path(path), columns)


def pick_images(
    embedded: Embedded, count: int, *, method: str = "typical", labels: Sequence[str | None] = (), seed: int = 0
) -> Picks:
    """`count` images to label of those without one in `labels` (one a row, or empty: none has one).

    typical: `pick_typical`; cover: `pick_cover`; uncertain: `pick_uncertain`, which needs labels of two classes;
    random: by `seed`. Raises TwofoldError for another method, for a count below 1, and where labels are missing.
    """
    require_choice("method", method, METHODS)
    require(count >= 1, "count", count, "at least 1")
    taken = np.array([row for row, label in enumerate(labels) if label is not None], np.int64)
    classes = sorted({label for label in labels if label is not None})
    p = None
    if len(classes) > 1:
        y = np.array([classes.index(str(labels[row])) for row in taken.tolist()], np.int64)
        p = probabilities_from(embedded.h, taken, y, len(classes))
    if method == "uncertain":
        if p is None:
            raise TwofoldError(
                f"method 'uncertain' needs labels of at least two classes, and there are {len(classes)}. Label some "
                "images by --method typical first and give them as --labels."
            )
        rows = pick_uncertain(p, count, taken=taken)
    else:
        rows = _without_labels(embedded, count, method, taken, seed)
    likeliest = None if p is None else p[rows].argmax(1)
    return Picks(
        rows=rows,
        method=method,
        paths=embedded.paths,
        suggestions=[None] * len(rows) if likeliest is None else [classes[name] for name in likeliest],
        probabilities=[None] * len(rows) if p is None else p[rows].max(1).tolist(),
    )


def _without_labels(
    embedded: Embedded, count: int, method: str, taken: Int64[np.ndarray, " t"], seed: int
) -> Int64[np.ndarray, " b"]:
    if method == "typical":
        return pick_typical(embedded.h, count, taken=taken, seed=seed)
    if method == "cover":
        return pick_cover(embedded.neighbours, count, taken=taken)
    rest = np.setdiff1d(np.arange(len(embedded)), taken)
    return np.random.default_rng(seed).permutation(rest)[:count].astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Worth:
    """Accuracy on test from picked and from random labels, of the same number; fractions in [0, 1]."""

    labels: int
    per_class: int
    picked: float
    random: float
    difference: float  # picked - random, mean over draws
    low: float | None  # 95 % interval over draws and test images, as of an evaluation; None: one draw has none
    high: float | None
    worth: float | None  # random labels that reach the picked accuracy; None: more than were tried

    def sentence(self) -> str:
        """For people."""
        as_many = "more random ones than were tried" if self.worth is None else f"{self.worth:.0f} random ones"
        sure = "one draw, no interval"
        if self.low is not None and self.high is not None:
            sure = f"95 % interval {signed_interval(self.low, self.high)}"
        return (
            f"{self.labels:,} picked labels ({self.per_class} a class): {self.picked:.1%} against {self.random:.1%}, "
            f"{signed_points(self.difference)} points ({sure}); worth {as_many}"
        )


def simulate(
    embedded: Embedded,
    *,
    method: str = "typical",
    per_class: Sequence[int] = (1, 2, 5, 10, 20, 50),
    draws: int = 10,
) -> list[Worth]:
    """What picking by `method` is worth: labels come from the data, a linear classifier is fitted to them.

    Images of train are picked, test counts. Each draw has a seed of its own for both. The interval is that of a paired
    difference (`evaluation.intervals.estimate`): it covers other draws, of one pool, and other test images. Raises
    TwofoldError for data without labels in train and in test, and for other methods than typical, cover, uncertain.
    """
    require_choice("method", method, METHODS[:3])
    ids = embedded.class_ids
    train, test = (rows[ids[rows] >= 0] for rows in (embedded.rows("train"), embedded.rows("test")))
    if len(embedded.classes) < 2 or len(train) == 0 or len(test) == 0:
        raise TwofoldError(
            "--simulate needs images with labels of at least two classes in train and in test. Give labelled data."
        )
    own = Embedded(
        h=np.asarray(embedded.h[train]),
        paths=[embedded.paths[row] for row in train],
        labels=[embedded.labels[row] for row in train],
        splits=["train"] * len(train),
    )
    budgets = [count * len(embedded.classes) for count in per_class if count * len(embedded.classes) <= len(train)]
    h, truth, groups = np.asarray(embedded.h[test]), ids[test], embedded.groups_of(test)
    right = np.zeros((2, len(budgets), draws, len(test)), dtype=bool)
    for seed in range(draws):
        for side, name in enumerate((method, "random")):
            for place, budget in enumerate(budgets):
                rows = _picked(own, budget, name, seed)
                right[side, place, seed] = _right(own, rows, h, truth, ids[train], len(embedded.classes))
    random = np.maximum.accumulate(right[1].mean((1, 2)))
    worths = []
    for place, budget in enumerate(budgets):
        picked, drawn = right[:, place].astype(np.float64)
        found = estimate(picked - drawn, range(draws), drawn=True, taken=budget / len(train), groups=groups)
        difference, low, high = found.difference()
        mean = float(picked.mean())
        worths.append(
            Worth(
                labels=budget,
                per_class=budget // len(embedded.classes),
                picked=mean,
                random=float(drawn.mean()),
                difference=difference,
                low=low,
                high=high,
                worth=float(np.interp(mean, random, budgets)) if random[0] <= mean <= random[-1] else None,
            )
        )
    return worths


def _picked(own: Embedded, budget: int, method: str, seed: int) -> Int64[np.ndarray, " b"]:
    if method != "uncertain":
        return pick_images(own, budget, method=method, seed=seed).rows
    first = pick_images(own, max(2, budget // 2), method="random", seed=seed).rows
    labels: list[str | None] = [None] * len(own)
    for row in first.tolist():
        labels[row] = own.labels[row]
    if len({label for label in labels if label}) < 2:
        return pick_images(own, budget, method="random", seed=seed).rows
    if budget == len(first):
        return first
    more = pick_images(own, budget - len(first), method="uncertain", labels=labels).rows
    return np.concatenate([first, more])


def _right(
    own: Embedded,
    rows: Int64[np.ndarray, " b"],
    h: np.ndarray,
    truth: Int64[np.ndarray, " m"],
    ids: Int64[np.ndarray, " n"],
    classes: int,
) -> Bool[np.ndarray, " m"]:
    """Which test images a linear classifier names rightly that is fitted to the labels of `rows`."""
    whole = np.concatenate([own.h[rows], h])
    p = probabilities_from(whole, np.arange(len(rows)), ids[rows], classes)
    return p[len(rows) :].argmax(1) == truth
