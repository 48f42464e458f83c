"""Counting what is right: here, and nowhere else, predictions meet the labels of the test split."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from twofold.data import ImageSet
from twofold.evaluation.labelled import Labelled, read_truth
from twofold.evaluation.metrics import confusion, interval, mean_per_class, top1
from twofold.evaluation.table import ENCODERS, PROTOCOLS, Row


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Predictions for every test row, of one way of measuring with one seed.

    Attempts with the same `weights`, those of an untrained encoder, are not independent: they count as one.
    """

    protocol: str
    encoder: str
    labels: int | str
    seed: int
    predicted: Int64[np.ndarray, " m"]
    l2: float | None = None
    weights: int | None = None
    converged: bool = True


def score(attempts: Sequence[Attempt], images: ImageSet, labelled: Labelled) -> tuple[list[Row], list[list[int]]]:
    """(rows, confusion): mean and interval over the seeds of each way of measuring, all labels first, then few to many.

    An untrained encoder's attempts are averaged per set of weights, and the interval is that over these means.
    The confusion counts (rows truth, columns predicted) are those of the trained encoder's linear probe with all
    labels, first seed.
    """
    truth = read_truth(images, labelled)
    found: dict[tuple[int | str, str, str], list[Attempt]] = {}
    for attempt in attempts:
        found.setdefault((attempt.labels, attempt.protocol, attempt.encoder), []).append(attempt)
    shots = sorted({attempt.labels for attempt in attempts if isinstance(attempt.labels, int)})
    keys: list[tuple[int | str, str, str]] = list(itertools.product(("all", *shots), PROTOCOLS, ENCODERS))
    rows = [row for key in keys if key in found for row in _rows(found[key], truth)]
    first = found["all", "linear", "trained"][0]
    return rows, confusion(truth, first.predicted, len(labelled.classes)).tolist()


def _rows(attempts: Sequence[Attempt], truth: Int64[np.ndarray, " m"]) -> list[Row]:
    rows, first = [], attempts[0]
    for metric, measure in (("top1", top1), ("mean_per_class", mean_per_class)):
        draws: dict[tuple[str, int], list[float]] = {}
        for attempt in attempts:
            draw = ("seed", attempt.seed) if attempt.weights is None else ("weights", attempt.weights)
            draws.setdefault(draw, []).append(measure(truth, attempt.predicted))
        mean, low, high = interval([float(np.mean(values)) for values in draws.values()])
        rows.append(
            Row(
                protocol=first.protocol,
                encoder=first.encoder,
                labels=first.labels,
                metric=metric,
                mean=mean,
                low=low,
                high=high,
                seeds=len(draws),
            )
        )
    return rows
