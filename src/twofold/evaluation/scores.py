"""Counting what is right: here, and nowhere else, predictions meet the labels of the test split.

Shares are fractions in [0, 1].
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Integer

from twofold.evaluation.labels import Labels
from twofold.evaluation.predictions import Predictions
from twofold.evaluation.protocols import ENCODERS, PROTOCOLS, layer_name
from twofold.evaluation.uncertainty import interval, interval_over_images, mean_of_draws, signed_interval

TOP = 5
Way = tuple[str, str]  # protocol, encoder
PAIRS: tuple[tuple[Way, Way], ...] = (
    (("linear", "trained"), ("linear", "untrained")),
    (("linear", "trained"), ("linear", "pixels")),
    (("finetune", "trained"), ("supervised", "untrained")),
    (("linear", "trained"), ("supervised", "untrained")),
    (("finetune", "trained"), ("linear", "trained")),
    (("sgd", "trained"), ("linear", "trained")),
)


def top1(truth: Integer[np.ndarray, " n"], predicted: Integer[np.ndarray, " n"]) -> float:
    """Share of the rows that are right, over all rows at once (never a mean of batch means)."""
    return float((truth == predicted).mean())


def top_k(truth: Integer[np.ndarray, " n"], ranked: Integer[np.ndarray, "n k"]) -> float:
    """Share of the rows whose truth is among their k classes in `ranked`; with k = 1 it is `top1`."""
    return float((ranked == truth[:, None]).any(1).mean())


def per_class(
    truth: Integer[np.ndarray, " n"], predicted: Integer[np.ndarray, " n"], classes: int
) -> Float64[np.ndarray, " {classes}"]:
    """Share of each class's rows that are right (its recall); nan for a class that `truth` does not hold."""
    counts = np.bincount(truth, minlength=classes)
    right = np.bincount(truth[truth == predicted], minlength=classes)
    return np.divide(right, counts, out=np.full(len(counts), np.nan), where=counts > 0)


def mean_per_class(truth: Integer[np.ndarray, " n"], predicted: Integer[np.ndarray, " n"]) -> float:
    """Mean over the classes that occur in `truth` of the share of their rows that are right (balanced accuracy)."""
    shares = per_class(truth, predicted, int(truth.max()) + 1)
    return float(shares[~np.isnan(shares)].mean())


def calibration_error(confidence: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"], bins: int = 15) -> float:
    """Expected calibration error, 0 (a confidence is the share that is right) to 1.

    sum_b n_b / n |accuracy_b - confidence_b| over `bins` bins of equal width, (b - 1) / bins < confidence <= b / bins;
    a confidence of exactly 0 is in the first. Source: Guo et al. 2017 (arXiv 1706.04599, equations 2 and 3).
    """
    certain = confidence.astype(np.float64)
    inner = np.linspace(0.0, 1.0, bins + 1)[1:-1]  # a float32 softmax just above 1 is in the last bin all the same
    gaps = np.bincount(np.digitize(certain, inner, right=True), weights=right - certain)
    return float(np.abs(gaps).sum() / len(certain))


def confusion(
    truth: Integer[np.ndarray, " n"], predicted: Integer[np.ndarray, " n"], classes: int
) -> Int64[np.ndarray, "classes classes"]:
    """Counts: rows are the truth, columns the prediction."""
    counts = np.bincount(truth.astype(np.int64) * classes + predicted, minlength=classes**2)
    return counts.astype(np.int64).reshape(classes, classes)


@dataclass(frozen=True, kw_only=True)
class Score:
    """What one set of predictions got, by metric, and which test images it got right."""

    protocol: str
    encoder: str
    labels: Labels
    seed: int
    weights: int | None
    values: dict[str, float]
    right: Bool[np.ndarray, " m"]

    @property
    def way(self) -> tuple[str, str, Labels]:
        """What it shares with the other seeds of its row."""
        return self.protocol, self.encoder, self.labels

    @property
    def draw(self) -> tuple[str, int]:
        """Scores with the same draw are not independent: an untrained encoder's on the same weights."""
        return ("seed", self.seed) if self.weights is None else ("weights", self.weights)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure: mean and 95 % interval over seeds, as fractions in [0, 1]; no interval where there is one seed.

    `seeds` counts the draws that the interval is over: for an untrained encoder, its sets of weights.
    """

    protocol: str  # knn | linear | sgd | finetune | supervised
    encoder: str  # trained | untrained | pixels, or a layer of the head: head-1, ..., z
    labels: Labels
    metric: str  # top1 | top5 | mean_per_class | ece
    mean: float
    low: float | None
    high: float | None
    seeds: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an interval that does not exist is null."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Top-1 of one way minus that of another, as a fraction in [-1, 1], with its 95 % interval.

    `over` says what the interval is over: "seeds" (Student's t over the draws that both share), or "pictures" (the
    test images, normal approximation) where there is no draw but that of a selection split.
    """

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


def score(predictions: Iterable[Predictions], truth: Int64[np.ndarray, " m"], classes: int) -> list[Score]:
    """Each set of predictions against the labels of test."""
    return [
        Score(
            protocol=one.protocol,
            encoder=one.encoder,
            labels=one.labels,
            seed=one.seed,
            weights=one.weights,
            values={name: measure(one, truth) for name, measure in _metrics(classes).items()},
            right=one.predicted == truth,
        )
        for one in predictions
    ]


def build_rows(scores: Sequence[Score], budgets: Sequence[Labels]) -> list[Row]:
    """Mean and interval over the seeds of each way of measuring, by `budgets` in their order.

    An untrained encoder's scores are averaged per set of weights, and the interval is that over these means.
    """
    by_way = _by_way(scores)
    protocols = list(PROTOCOLS)
    encoders = list(dict.fromkeys([*ENCODERS, *(encoder for _, encoder, _ in by_way)]))
    ways = sorted(by_way, key=lambda way: (budgets.index(way[2]), protocols.index(way[0]), encoders.index(way[1])))
    return [_row(by_way[way], metric) for way in ways for metric in by_way[way][0].values]


def compare(
    scores: Sequence[Score], budgets: Sequence[Labels], pairs: Sequence[tuple[Way, Way]] = PAIRS
) -> list[Difference]:
    """The differences of `pairs`, and of h against each layer of the head, at every budget where both were measured."""
    by_way = _by_way(scores)
    layers = sorted({encoder for _, encoder, _ in by_way if layer_name(encoder)})
    wanted = [*pairs, *(((("linear", "trained"), ("linear", layer))) for layer in layers)]
    return [
        difference(by_way[(*first, labels)], by_way[(*second, labels)])
        for first, second in wanted
        for labels in budgets
        if (*first, labels) in by_way and (*second, labels) in by_way
    ]


def difference(first: Sequence[Score], second: Sequence[Score]) -> Difference:
    """`first` minus `second` over the seeds that both have: the same labelled images, the same test split.

    Differences on the same untrained weights are averaged first. With all labels two probes on fixed features differ
    only by which test images there are, so the interval is over these.
    """
    ours, theirs = ({score.seed: score for score in scores} for scores in (first, second))
    seeds = sorted(ours.keys() & theirs.keys())
    draws = mean_of_draws(
        (  # "weights" comes after "seed"
            max(ours[seed].draw, theirs[seed].draw),
            ours[seed].values["top1"] - theirs[seed].values["top1"],
        )
        for seed in seeds
    )
    low: float | None
    high: float | None
    fixed = first[0].labels == "all" and first[0].protocol == second[0].protocol == "linear"
    if fixed:
        gains = np.mean([ours[seed].right.astype(float) - theirs[seed].right for seed in seeds], axis=0)
        mean, low, high = interval_over_images(gains)
    else:
        mean, low, high = signed_interval(draws)
    return Difference(
        protocol=first[0].protocol,
        encoder=first[0].encoder,
        against_protocol=second[0].protocol,
        against_encoder=second[0].encoder,
        labels=first[0].labels,
        mean=mean,
        low=low,
        high=high,
        seeds=len(draws),
        over="pictures" if fixed else "seeds",
    )


def _by_way(scores: Iterable[Score]) -> dict[tuple[str, str, Labels], list[Score]]:
    by_way: dict[tuple[str, str, Labels], list[Score]] = {}
    for one in scores:
        by_way.setdefault(one.way, []).append(one)
    return by_way


def _metrics(classes: int) -> dict[str, Callable[[Predictions, Int64[np.ndarray, " m"]], float]]:
    metrics: dict[str, Callable[[Predictions, Int64[np.ndarray, " m"]], float]] = {
        "top1": lambda one, truth: top1(truth, one.predicted),
        "mean_per_class": lambda one, truth: mean_per_class(truth, one.predicted),
        "ece": lambda one, truth: calibration_error(one.confidence, one.predicted == truth),
    }
    if classes > TOP:
        metrics["top5"] = lambda one, truth: top_k(truth, one.ranked)
    return metrics


def _row(scores: Sequence[Score], metric: str) -> Row:
    protocol, encoder, labels = scores[0].way
    draws = mean_of_draws((one.draw, one.values[metric]) for one in scores)
    mean, low, high = interval(draws)
    return Row(
        protocol=protocol,
        encoder=encoder,
        labels=labels,
        metric=metric,
        mean=mean,
        low=low,
        high=high,
        seeds=len(draws),
    )
