"""How sure a figure is: every interval that Twofold gives is computed here, each at 95 %.

Legend: n draws (of labels, of seeds), m test images, c classes, k folds of a cross-validation.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Bool, Float, Int64

Interval = tuple[float, float | None, float | None]  # mean, low, high
_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over draws and test images with its variance; None where what was drawn was drawn only once.

    `reach` is how many standard errors an interval goes, `images` how many test images count as much as these: fewer
    where they come in groups, or where some weigh more than others.
    """

    mean: float
    variance: float | None
    reach: float
    images: float

    def difference(self) -> Interval:
        """(mean, low, high), of a difference of two shares: mean -+ reach sqrt(variance + 1 / images²), within [-1, 1].

        The last term is one more image that only one of the two gets right (after Agresti and Min 2005): the interval
        is no point, also where both agree on every image.
        """
        if self.variance is None:
            return self.mean, None, None
        half = self.reach * math.sqrt(self.variance + 1 / self.images**2)
        return self.mean, max(-1.0, self.mean - half), min(1.0, self.mean + half)

    def share(self) -> Interval:
        """(mean, low, high), of a share in [0, 1]: Wilson's interval for the images that would leave this variance.

        These are mean (1 - mean) / variance. The interval is inside [0, 1] and never a point.
        """
        if self.variance is None:
            return self.mean, None, None
        spread = self.mean * (1 - self.mean)
        images = spread / self.variance if spread > 0 and self.variance > 0 else self.images
        return self.mean, *wilson_interval(self.mean, images, self.reach)


def estimate(
    hits: Float[np.ndarray, "n m"],
    units: Sequence[Hashable],
    *,
    drawn: bool,
    taken: float = 0.0,
    classes: Int64[np.ndarray, " m"] | None = None,
    groups: Int64[np.ndarray, " m"] | None = None,
    folds: Int64[np.ndarray, "n m"] | None = None,
) -> Estimate:
    """The mean of `hits` (right or wrong, or a difference of two of these, draw by draw) and how sure it is.

    variance = var_images / m + var_units / u + var_draws f / (1 - f), where var_images is that of an image's mean over
    the draws and f = `taken` is the share of the labelled images that a draw takes. All draws take theirs from one
    pool, which another study would not have: the last term (after Nadeau and Bengio 2003). Draws of one unit, such as
    those on one set of untrained weights, are not independent: the u units are averaged first. Where the outcome is
    `drawn` and there is one unit, nothing tells its variance. The reach is `joint_reach` of images and draws.
    With `classes`, of the test images, the mean is that of the classes' means. Images of one of the `groups` count as
    one. With `folds`, the fold of a cross-validation that each image was predicted in, draw by draw, var_draws is the
    variance between the k fits of a draw (`_between_fits`).
    """
    m = hits.shape[1]
    weights = np.ones(m) if classes is None else _class_weights(classes)
    by_draw = hits @ weights / m
    residuals, sizes = weights * (hits.mean(0) - _centres(hits.mean(0), classes)), weights
    if groups is not None:
        numbers = np.unique(groups, return_inverse=True)[1]
        residuals, sizes = (np.bincount(numbers, weights=part) for part in (residuals, sizes))
    g = len(residuals)
    images = float((residuals**2).sum()) / m**2 * g / max(1, g - 1)
    means = _unit_means(by_draw, units)
    between = float(means.var(ddof=1)) if len(means) > 1 else 0.0
    if len(by_draw) < 2:
        pool = 0.0
    else:
        pool = float(by_draw.var(ddof=1)) if folds is None else _between_fits(hits, weights, folds)
    draws = between / len(means) + (pool * taken / (1 - taken) if taken < 1 else 0.0)
    return Estimate(
        mean=float(means.mean()),
        variance=None if drawn and len(means) < 2 else images + draws,
        reach=joint_reach((images, g - 1), (draws, len(means) - 1)),
        images=m**2 / float((sizes**2).sum()),
    )


def mean_interval(values: Sequence[float]) -> Interval:
    """(mean, low, high) of independent values: mean -+ t(0.975, n - 1) std / sqrt(n), Student's interval.

    One value has no interval: low and high are None.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None, None
    half = student(len(values) - 1) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def student(freedom: int | float) -> float:
    """How many standard errors an interval reaches: t(0.975, freedom)."""
    from scipy.special import stdtrit  # half a second, which a run without intervals need not wait for

    return float(stdtrit(freedom, 0.975))


def wilson_interval(share: float, count: int | float, z: int | float = _Z) -> tuple[float, float]:
    """(low, high) of a share p that was counted on n = `count` images, at 95 %.

    (p + z² / 2n -+ z sqrt(p (1 - p) / n + z² / 4n²)) / (1 + z² / n): inside [0, 1] and never a point, also where all
    are right or none (Wilson 1927).
    """
    centre, scale = share + z**2 / (2 * count), 1 + z**2 / count
    half = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def share_interval(
    right: Bool[np.ndarray, " m"], groups: Int64[np.ndarray, " m"] | None = None
) -> tuple[float, float, float]:
    """(share, low, high) of what is right, at 95 %: Wilson's over the images, or over their `groups`.

    Of one group it is 0 to 1, which says nothing.
    """
    share = float(right.mean())
    if groups is None:
        return share, *wilson_interval(share, len(right))
    if len(np.unique(groups)) < 2:
        return share, 0.0, 1.0
    _, low, high = estimate(right[None].astype(np.float64), [0], drawn=False, groups=groups).share()
    assert low is not None
    assert high is not None
    return share, low, high


def effective_count(groups: Int64[np.ndarray, " m"]) -> float:
    """How many images by themselves count as much as m of which those of a group are alike: m² / sum of sizes² (Kish).

    >>> effective_count(np.array([0, 0, 1, 1, 2, 2]))
    3.0
    """
    sizes = np.unique(groups, return_counts=True)[1]
    return len(groups) ** 2 / float((sizes**2).sum())


def chance_sentences(count: int) -> list[str]:
    """How many of `count` comparisons would look clear by chance, at 95 %: 27 -> "about 1"; [] for one or none."""
    if count < 2:
        return []
    return [f"Of {count:,} comparisons at 95 %, about {clear_by_chance(count)} would look clear by chance alone."]


def clear_by_chance(count: int) -> str:
    """How many of `count` intervals at 95 % miss what they are of: 27 -> "1", 4 -> "0.2"."""
    expected = 0.05 * count
    return f"{expected:.0f}" if expected >= 1 else f"{expected:.1g}"


def _class_weights(classes: Int64[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Weights with the mean 1 under which every class counts as much as every other."""
    counts = np.bincount(classes)
    return (len(classes) / (np.count_nonzero(counts) * np.maximum(counts, 1)))[classes]


def _centres(shares: Float[np.ndarray, " m"], classes: Int64[np.ndarray, " m"] | None) -> Float[np.ndarray, " m"]:
    """What an image's share would be without luck: the mean, or that of its class where it has two images or more."""
    mean = np.full(len(shares), shares.mean())
    if classes is None:
        return mean
    counts = np.bincount(classes)
    own = np.bincount(classes, weights=shares) / np.maximum(counts, 1)
    return np.where(counts[classes] > 1, own[classes], mean)


def _between_fits(
    hits: Float[np.ndarray, "n m"], weights: Float[np.ndarray, " m"], folds: Int64[np.ndarray, "n m"]
) -> float:
    """The variance of a figure between fits on different labelled images, each counted on a fold of its own.

    With r the mean over a fold of hits minus the image's mean over the draws, it is the variance of r among the folds
    of a draw, less what single images add to that by chance: sum w² var_draws / (sum w)². Never below 0.
    """
    n = len(hits)
    apart, chance = hits - hits.mean(0), hits.var(0, ddof=1)
    found = []
    for draw in range(n):
        sums = np.bincount(folds[draw], weights=weights)
        r = np.bincount(folds[draw], weights=weights * apart[draw])[sums > 0] / sums[sums > 0]
        noise = np.bincount(folds[draw], weights=weights**2 * chance)[sums > 0] / sums[sums > 0] ** 2
        found.append(float(r.var(ddof=1)) * n / (n - 1) - float(noise.mean()))
    return max(0.0, float(np.mean(found)))


def _unit_means(values: Float[np.ndarray, " n"], units: Sequence[Hashable]) -> Float[np.ndarray, " u"]:
    by_unit: dict[Hashable, list[float]] = {}
    for unit, value in zip(units, values.tolist(), strict=True):
        by_unit.setdefault(unit, []).append(value)
    return np.array([np.mean(own) for own in by_unit.values()])


def joint_reach(*parts: tuple[float, int | float]) -> float:
    """How many standard errors an interval goes whose variance is a sum of (variance v, degrees of freedom f):

    sqrt(sum t(f)² v / sum v), so that each part is as wide as it would be alone (after Welch 1947 and Cochran 1964).
    One number of degrees of freedom for the sum (Satterthwaite's) is too large where a part has very few: with three
    seeds a winner is then named in up to 9 % of data sets in which there is none.
    """
    known = [(variance, freedom) for variance, freedom in parts if variance > 0 and freedom > 0]
    total = sum(variance for variance, _ in known)
    if total <= 0:  # nothing varies: that of the images
        return student(max(1, parts[0][1]))
    return math.sqrt(sum(student(freedom) ** 2 * variance for variance, freedom in known) / total)
