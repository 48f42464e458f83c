"""How sure a figure is: every interval that Twofold gives is computed here, each at 95 %."""

import math
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from jaxtyping import Float
from scipy.stats import norm as normal
from scipy.stats import t as student_t

_Z = float(normal.ppf(0.975))


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


def mean_of_draws(values: Iterable[tuple[Hashable, float]]) -> list[float]:
    """(draw, value) pairs -> one mean a draw. Values of one draw are not independent, so they count as one."""
    draws: dict[Hashable, list[float]] = {}
    for draw, value in values:
        draws.setdefault(draw, []).append(value)
    return [float(np.mean(of_draw)) for of_draw in draws.values()]


def interval_over_images(gains: Float[np.ndarray, " m"]) -> tuple[float, float, float]:
    """(mean, low, high) of the difference in being right on m test images: mean -+ 1.96 std / sqrt(m)."""
    mean, half = float(gains.mean()), 1.96 * float(gains.std()) / math.sqrt(len(gains))
    return mean, mean - half, mean + half


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """(low, high) of a share counted on `count` images, 95 %: (p + z² / 2n) / (1 + z² / n) -+ the half width.

    Inside [0, 1] and never a point, also where all are right or none (Wilson 1927).
    """
    centre = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = binomial_half_width(share, count)
    return max(0.0, centre - half), min(1.0, centre + half)


def binomial_half_width(share: float, count: int) -> float:
    """How far a share counted on `count` images may be off: half of Wilson's 95 % interval, in [0, 0.5].

    z sqrt(p (1 - p) / n + z² / 4n²) / (1 + z² / n): above 0 also where all are right or none (Wilson 1927).
    """
    return _Z * math.sqrt(share * (1 - share) / count + (_Z / (2 * count)) ** 2) / (1 + _Z**2 / count)
