"""Counting what is right, in fractions: here, and nowhere else, predictions meet the labels of the test split."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from twofold.evaluation.imbalance import metrics_of_unequal
from twofold.evaluation.intervals import Estimate, estimate
from twofold.evaluation.labels import Labels, is_unequal
from twofold.evaluation.predictions import Predictions
from twofold.evaluation.protocols import ENCODERS, PROTOCOLS, TRAINED, layer_name

TOP = 5
HITS = {  # metric -> what of an image it counts
    "top1": "top1",
    "top5": "top5",
    "mean_per_class": "top1",
    "overconfidence": "overconfidence",
}
OVER = {True: "images and draws", False: "images"}  # whether there are draws -> what an interval covers
Way = tuple[str, str]  # protocol, encoder
PAIRS: tuple[tuple[Way, Way], ...] = (
    (("linear", "trained"), ("linear", "untrained")),
    (("linear", "trained"), ("linear", "pixels")),
    (("knn", "trained"), ("knn", "untrained")),
    (("knn", "trained"), ("knn", "pixels")),
    (("finetune", "trained"), ("supervised", "untrained")),
    (("linear", "trained"), ("supervised", "untrained")),
    (("finetune", "trained"), ("linear", "trained")),
    (("self-train", "trained"), ("linear", "trained")),
    (("self-train", "trained"), ("finetune", "trained")),
    (("sgd", "trained"), ("linear", "trained")),
)


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Where the scores' variation comes from: the test images, and the draws of labels.

    `truth` and `groups` are of the test images (no groups: each by itself), `taken` is the share of the labelled images
    that a draw of a budget takes, in [0, 1]. `leading`: the metric that comes first, and that differences are of.
    `folds`: of a cross-validation, by seed, in which fold each image was predicted.
    """

    truth: Int64[np.ndarray, " m"]
    groups: Int64[np.ndarray, " m"] | None = None
    taken: Mapping[Labels, float] = field(default_factory=dict)
    leading: str = "top1"
    folds: Mapping[int, Int64[np.ndarray, " m"]] = field(default_factory=dict)

    def is_drawn(self, score: "Score") -> bool:
        """Whether another draw would give another result: a cross-validation draws what is fitted on too."""
        return score.is_drawn or bool(self.folds)


@dataclass(frozen=True, kw_only=True)
class Score:
    """What one set of predictions got right: of each test image, by metric; `others` are metrics of all together."""

    protocol: str
    encoder: str
    labels: Labels
    seed: int
    weights: int | None
    hits: dict[str, Bool[np.ndarray, " m"] | Float64[np.ndarray, " m"]]
    others: dict[str, float]

    @property
    def way(self) -> tuple[str, str, Labels]:
        """What it shares with the other seeds of its row."""
        return self.protocol, self.encoder, self.labels

    @property
    def unit(self) -> tuple[str, int]:
        """Scores of the same unit are not independent: an untrained encoder's on the same weights."""
        return ("seed", self.seed) if self.weights is None else ("weights", self.weights)

    @property
    def is_drawn(self) -> bool:
        """Whether another draw would give another result: of labels, of weights, of a network's training."""
        return self.labels != "all" or self.protocol in TRAINED or self.weights is not None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure: mean and 95 % interval, as fractions in [0, 1]; overconfidence, sure minus right, in [-1, 1].

    The interval covers other test images of the same kind and, where there are draws, other draws (`over`: "images",
    "images and draws"). There is none where what was drawn was drawn once, and for metrics that are no mean over
    images. `seeds` counts the draws: for an untrained encoder, its sets of weights. `best`: clearly above every other
    encoder on its line of the table, by their paired differences.
    """

    protocol: str  # knn | linear | sgd | finetune | self-train | supervised
    encoder: str  # trained | untrained | pixels, or a layer of the head: head-1, ..., z
    labels: Labels
    metric: str  # top1 | top5 | mean_per_class | overconfidence | and where classes are unequal those of `imbalance`
    mean: float
    low: float | None
    high: float | None
    seeds: int
    over: str
    best: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an interval that does not exist is null."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The accuracy `metric` of one way minus that of another, in [-1, 1], with a 95 % interval as that of a `Row`."""

    protocol: str
    encoder: str
    against_protocol: str
    against_encoder: str
    labels: Labels
    mean: float
    low: float | None
    high: float | None
    seeds: int
    over: str
    metric: str = "top1"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)


def score(
    predictions: Iterable[Predictions],
    truth: Int64[np.ndarray, " m"],
    classes: int,
    train_ids: Int64[np.ndarray, " n"] | None = None,
) -> list[Score]:
    """Each set of predictions against the labels of test.

    Overconfidence is the probability given to the prediction, minus 1 where it is right: a mean over images, which has
    an interval. A calibration error over bins has none that is honest: with few images to a bin chance alone makes one.
    Where the classes of `train_ids` are unequal, with the metrics of `imbalance`: of two classes for the rarer one.
    """
    scores = []
    for one in predictions:
        hits: dict[str, np.ndarray] = {"top1": one.predicted == truth}
        if classes > TOP:
            hits["top5"] = (one.ranked == truth[:, None]).any(1)
        hits["overconfidence"] = one.confidence.astype(np.float64) - hits["top1"]
        others: dict[str, float] = {}
        if train_ids is not None and is_unequal(train_ids):
            others |= metrics_of_unequal(truth, one.predicted, one.confidence, train_ids)
        scores.append(
            Score(
                protocol=one.protocol,
                encoder=one.encoder,
                labels=one.labels,
                seed=one.seed,
                weights=one.weights,
                hits=hits,
                others=others,
            )
        )
    return scores


def build_rows(scores: Sequence[Score], budgets: Sequence[Labels], sampling: Sampling) -> list[Row]:
    """Mean and interval of each way of measuring, by `budgets` in their order."""
    by_way = _by_way(scores)
    protocols = list(PROTOCOLS)
    encoders = list(dict.fromkeys([*ENCODERS, *(encoder for _, encoder, _ in by_way)]))
    ways = sorted(by_way, key=lambda way: (budgets.index(way[2]), protocols.index(way[0]), encoders.index(way[1])))
    rows = [row for way in ways for row in _rows(by_way[way], sampling)]  # of each way the leading metric first
    return [replace(row, best=_is_best(row, by_way, sampling)) for row in rows]


def compare(
    scores: Sequence[Score], budgets: Sequence[Labels], sampling: Sampling, pairs: Sequence[tuple[Way, Way]] = PAIRS
) -> list[Difference]:
    """The differences of `pairs`, and of h against each layer of the head, at every budget where both were measured."""
    by_way = _by_way(scores)
    layers = sorted({encoder for _, encoder, _ in by_way if layer_name(encoder)})
    wanted = [*pairs, *(((("linear", "trained"), ("linear", layer))) for layer in layers)]
    return [
        difference(by_way[(*first, labels)], by_way[(*second, labels)], sampling, sampling.leading)
        for first, second in wanted
        for labels in budgets
        if (*first, labels) in by_way and (*second, labels) in by_way
    ]


def difference(first: Sequence[Score], second: Sequence[Score], sampling: Sampling, metric: str = "top1") -> Difference:
    """`first` minus `second` over the seeds that both have: the same labelled images, the same test images.

    A single score that no draw would change is compared with every seed of the other.
    """
    ours, theirs = ({score.seed: score for score in scores} for scores in (first, second))
    if len(ours) == 1 and not sampling.is_drawn(first[0]):
        ours = dict.fromkeys(theirs, first[0])
    elif len(theirs) == 1 and not sampling.is_drawn(second[0]):
        theirs = dict.fromkeys(ours, second[0])
    pairs = [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
    drawn = sampling.is_drawn(first[0]) or sampling.is_drawn(second[0])
    found = _estimate(
        [one.hits[HITS[metric]].astype(np.float64) - other.hits[HITS[metric]] for one, other in pairs],
        [max(one.unit, other.unit) for one, other in pairs],  # "weights" comes after "seed"
        [one.seed for one, _ in pairs],
        metric,
        drawn,
        first[0].labels,
        sampling,
    )
    mean, low, high = found.difference()
    return Difference(
        protocol=first[0].protocol,
        encoder=first[0].encoder,
        against_protocol=second[0].protocol,
        against_encoder=second[0].encoder,
        labels=first[0].labels,
        mean=mean,
        low=low,
        high=high,
        seeds=len({max(one.unit, other.unit) for one, other in pairs}),
        over=OVER[drawn],
        metric=metric,
    )


def _by_way(scores: Iterable[Score]) -> dict[tuple[str, str, Labels], list[Score]]:
    by_way: dict[tuple[str, str, Labels], list[Score]] = {}
    for one in scores:
        by_way.setdefault(one.way, []).append(one)
    return by_way


def _rows(scores: Sequence[Score], sampling: Sampling) -> list[Row]:
    first, units = scores[0], [one.unit for one in scores]
    row = Row(
        protocol=first.protocol,
        encoder=first.encoder,
        labels=first.labels,
        metric="",
        mean=0.0,
        low=None,
        high=None,
        seeds=len(set(units)),
        over=OVER[sampling.is_drawn(first)],
    )
    rows = []
    for metric, kind in sorted(HITS.items(), key=lambda one: one[0] != sampling.leading):
        if kind in first.hits:
            hits = [one.hits[kind] for one in scores]
            seeds = [one.seed for one in scores]
            found = _estimate(hits, units, seeds, metric, sampling.is_drawn(first), first.labels, sampling)
            mean, low, high = found.difference() if metric == "overconfidence" else found.share()
            rows.append(replace(row, metric=metric, mean=mean, low=low, high=high))
    means = {metric: float(np.mean([one.others[metric] for one in scores])) for metric in first.others}
    return [*rows, *(replace(row, metric=metric, mean=mean) for metric, mean in means.items())]


def _estimate(
    hits: Sequence[np.ndarray],
    units: Sequence[tuple[str, int]],
    seeds: Sequence[int],
    metric: str,
    drawn: bool,
    labels: Labels,
    sampling: Sampling,
) -> Estimate:
    return estimate(
        np.stack(hits).astype(np.float64),
        units,
        drawn=drawn,
        taken=sampling.taken.get(labels, 0.0),
        classes=sampling.truth if metric == "mean_per_class" else None,
        groups=sampling.groups,
        folds=np.stack([sampling.folds[seed] for seed in seeds]) if sampling.folds else None,
    )


def _is_best(row: Row, by_way: Mapping[tuple[str, str, Labels], Sequence[Score]], sampling: Sampling) -> bool:
    """Whether it is clearly above every other encoder on its line; from scratch stands beside fine-tuning."""
    if row.metric not in ("top1", "mean_per_class") or layer_name(row.encoder):
        return False
    lines = ("finetune", "supervised") if row.protocol in ("finetune", "supervised") else (row.protocol,)
    own = by_way[row.protocol, row.encoder, row.labels]
    rivals = [
        scores
        for (protocol, encoder, labels), scores in by_way.items()
        if protocol in lines and labels == row.labels and not layer_name(encoder) and scores is not own
    ]
    lows = [difference(own, rival, sampling, row.metric).low for rival in rivals]
    return len(lows) > 0 and all(low is not None and low > 0 for low in lows)
