"""Numbers out of predictions. All shares are fractions in [0, 1]."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64, Integer
from scipy.stats import norm as normal
from scipy.stats import t as student_t


def top1(truth: Integer[np.ndarray, " n"], predicted: Integer[np.ndarray, " n"]) -> float:
    """Share of the rows that are right, over all rows at once (never a mean of batch means)."""
    return float((truth == predicted).mean())


def mean_per_class(truth: Integer[np.ndarray, " n"], predicted: Integer[np.ndarray, " n"]) -> float:
    """Mean over the classes that occur in `truth` of the share of their rows that are right (balanced accuracy)."""
    return float(np.mean([(predicted[truth == label] == label).mean() for label in np.unique(truth)]))


def confusion(
    truth: Integer[np.ndarray, " n"], predicted: Integer[np.ndarray, " n"], classes: int
) -> Int64[np.ndarray, "classes classes"]:
    """Counts: rows are the truth, columns the prediction."""
    counts = np.bincount(truth.astype(np.int64) * classes + predicted, minlength=classes**2)
    return counts.astype(np.int64).reshape(classes, classes)


def interval(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """(mean, low, high) of shares: mean -+ t(0.975, s - 1) std / sqrt(s), Student's 95 % interval over s draws.

    Clipped to [0, 1], outside of which no share lies. One value has no interval: low and high are None.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None, None
    half = float(student_t.ppf(0.975, len(values) - 1)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return mean, max(0.0, mean - half), min(1.0, mean + half)


def binomial_half_width(share: float, count: int) -> float:
    """How far a share counted on `count` pictures may be off: half of Wilson's 95 % interval, in [0, 0.5].

    z sqrt(p (1 - p) / n + z² / 4n²) / (1 + z² / n): above 0 also where all are right or none (Wilson 1927).
    """
    z = float(normal.ppf(0.975))
    return z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2) / (1 + z**2 / count)
