"""Counting what is right: here, and nowhere else, predictions meet the labels of the test split."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from twofold.evaluation.attempt import Attempt, Labels
from twofold.evaluation.metrics import calibration_error, interval, mean_per_class, top1, top_k
from twofold.evaluation.table import ENCODERS, PROTOCOLS, Row

TOP = 5


@dataclass(frozen=True, kw_only=True)
class Score:
    """What one attempt got, by metric, and which test pictures it got right."""

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


def count_right(attempts: Iterable[Attempt], truth: Int64[np.ndarray, " m"], classes: int) -> list[Score]:
    """Each attempt against the labels of test."""
    return [
        Score(
            protocol=attempt.protocol,
            encoder=attempt.encoder,
            labels=attempt.labels,
            seed=attempt.seed,
            weights=attempt.weights,
            values={name: measure(attempt, truth) for name, measure in _metrics(classes).items()},
            right=attempt.predicted == truth,
        )
        for attempt in attempts
    ]


def build_rows(scores: Sequence[Score], budgets: Sequence[Labels]) -> list[Row]:
    """Mean and interval over the seeds of each way of measuring, by `budgets` in their order.

    An untrained encoder's scores are averaged per set of weights, and the interval is that over these means.
    """
    found: dict[tuple[str, str, Labels], list[Score]] = {}
    for score in scores:
        found.setdefault(score.way, []).append(score)
    protocols = list(PROTOCOLS)
    encoders = list(dict.fromkeys([*ENCODERS, *(encoder for _, encoder, _ in found)]))
    ways = sorted(found, key=lambda way: (budgets.index(way[2]), protocols.index(way[0]), encoders.index(way[1])))
    return [row for way in ways for row in _rows(found[way])]


def _metrics(classes: int) -> dict[str, Callable[[Attempt, Int64[np.ndarray, " m"]], float]]:
    metrics: dict[str, Callable[[Attempt, Int64[np.ndarray, " m"]], float]] = {
        "top1": lambda attempt, truth: top1(truth, attempt.predicted),
        "mean_per_class": lambda attempt, truth: mean_per_class(truth, attempt.predicted),
        "ece": lambda attempt, truth: calibration_error(attempt.confidence, attempt.predicted == truth),
    }
    if classes > TOP:
        metrics["top5"] = lambda attempt, truth: top_k(truth, attempt.ranked)
    return metrics


def _rows(scores: Sequence[Score]) -> list[Row]:
    rows = []
    protocol, encoder, labels = scores[0].way
    for metric in scores[0].values:
        draws: dict[tuple[str, int], list[float]] = {}
        for score in scores:
            draws.setdefault(score.draw, []).append(score.values[metric])
        mean, low, high = interval([float(np.mean(values)) for values in draws.values()])
        rows.append(
            Row(
                protocol=protocol,
                encoder=encoder,
                labels=labels,
                metric=metric,
                mean=mean,
                low=low,
                high=high,
                seeds=len(draws),
            )
        )
    return rows
