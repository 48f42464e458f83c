"""Numbers out of predictions. All shares are fractions in [0, 1]."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Integer
from scipy.stats import norm as normal
from scipy.stats import t as student_t

_Z = float(normal.ppf(0.975))


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


def interval(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """`signed_interval` of shares, clipped to [0, 1], outside of which no share lies."""
    mean, low, high = signed_interval(values)
    return mean, None if low is None else max(0.0, low), None if high is None else min(1.0, high)


def signed_interval(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """(mean, low, high) of paired differences, or of anything that may be below 0 or above 1.

    mean -+ t(0.975, s - 1) std / sqrt(s), Student's 95 % interval over s draws. One value has no interval: low and
    high are None.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None, None
    half = float(student_t.ppf(0.975, len(values) - 1)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """(low, high) of a share counted on `count` pictures, 95 %: (p + z² / 2n) / (1 + z² / n) -+ the half width.

    Inside [0, 1] and never a point, also where all are right or none (Wilson 1927).
    """
    centre = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = binomial_half_width(share, count)
    return max(0.0, centre - half), min(1.0, centre + half)


def binomial_half_width(share: float, count: int) -> float:
    """How far a share counted on `count` pictures may be off: half of Wilson's 95 % interval, in [0, 0.5].

    z sqrt(p (1 - p) / n + z² / 4n²) / (1 + z² / n): above 0 also where all are right or none (Wilson 1927).
    """
    return _Z * math.sqrt(share * (1 - share) / count + (_Z / (2 * count)) ** 2) / (1 + _Z**2 / count)
