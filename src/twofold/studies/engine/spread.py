"""How much seeds vary: pooled over the cells of a study, as two or three seeds of one comparison tell next to nothing.

Legend: c cells, s seeds, n seeds of a comparison, m test images.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.special import fdtri

from twofold.evaluation.intervals import Estimate, Interval, estimate, mean_interval, student
from twofold.studies.engine.results import Results

Term = tuple[str, str]  # cell's name, metric
IMAGES_AND_SEEDS, AT_MOST, SEEDS = "images and seeds", "images (at most) and seeds", "seeds"
_LARGER = 0.3  # of equal variances so many count as larger: at 0.05 intervals of one noisy cell hold only 80 %
_OUTLYING = 0.05  # the same of the cells of a study, all together


@dataclass(frozen=True)
class Spread:
    """The variance of a value between seeds, beyond what all cells of a seed share, and its degrees of freedom.

    `unequal` are cells that vary so much more than the others that they are not among them.
    """

    variance: float
    freedom: int
    unequal: frozenset[str] = frozenset()


def pooled_spread(results: Results, metric: str) -> Spread:
    """Of all cells on test that have two seeds or more: sum of squared residuals / degrees of freedom.

    Cells with the same seeds are a table c x s; its residuals, y - mean of the row - mean of the column + mean of all,
    have (c - 1)(s - 1) degrees of freedom. A cell whose variance is significantly larger than that of the others in its
    table (F test at 5 % / c, the worst first) is `unequal` and left out.
    """
    tables: dict[tuple[bool, tuple[int, ...]], dict[str, list[float]]] = defaultdict(dict)
    for name in results.names():
        for premise in (False, True):
            seeds = results.seeds(name, metric, premise=premise)
            if len(seeds) > 1:
                tables[premise, tuple(seeds)][name] = [results.value(name, metric, seed) for seed in seeds]
    squares, freedom, unequal = 0.0, 0, set[str]()
    for table in tables.values():
        noisy = _unequal(table)
        unequal |= noisy
        values = np.array([row for name, row in table.items() if name not in noisy])
        squares += _squares(values)
        freedom += (values.shape[0] - 1) * (values.shape[1] - 1)
    return Spread(squares / freedom if freedom else 0.0, freedom, frozenset(unequal))


def _unequal(table: Mapping[str, list[float]]) -> set[str]:
    """Rows that vary more than the rest, one after the other; of fewer than four cells none can be told."""
    left, noisy = {name: np.array(row) for name, row in table.items()}, set[str]()
    while len(left) > 3:
        rests = {name: np.array([row for other, row in left.items() if other != name]) for name in left}
        variances = {name: float(np.var(row - rests[name].mean(0), ddof=1)) for name, row in left.items()}
        worst = max(variances, key=lambda name: variances[name])
        rest = rests[worst]
        others, own = (len(rest) - 1) * (rest.shape[1] - 1), rest.shape[1] - 1
        bound = fdtri(own, others, 1 - _OUTLYING / len(table)) * _squares(rest) / others * (1 + 1 / len(rest))
        if not variances[worst] > bound:
            break
        noisy.add(worst)
        del left[worst]
    return noisy


def _squares(table: Float[np.ndarray, "c s"]) -> float:
    """Sum of the squared residuals of rows and columns."""
    residuals = table - table.mean(1, keepdims=True) - table.mean(0, keepdims=True) + table.mean()
    return float((residuals**2).sum())


def sum_interval(weights: Mapping[Term, float], results: Results, seeds: list[int]) -> tuple[Interval, str]:
    """(mean, low, high) of a weighted sum over `seeds`, and what the interval covers: one of the constants above.

    variance = var_images / m + var_seeds / n. The first part is the most that it can be where cells have not recorded
    which images are right, and none of what is no share of the test images. The second is the pooled spread times the
    sum of the squared weights, where these add up to 0 over cells and one metric. It is the sum's own variance
    otherwise, with a cell that varies more than the others, and where it is significantly larger (F test at 30 %).
    One seed has no interval. Each of the two is as wide as it would be alone (`joint_reach`).
    """
    sums = np.array([sum(w * results.value(*term, seed) for term, w in weights.items()) for seed in seeds])
    mean = float(sums.mean())
    own = _own_spread(weights, results, sums)
    if own is None:
        return (mean, None, None), ""
    seed_part = (own.variance / len(seeds), own.freedom)
    images, over = _images(weights, results, seeds), IMAGES_AND_SEEDS
    if images is None:
        images, over = _most_of_images(weights, results, seeds), AT_MOST
    if images is None or images.variance is None:
        half = student(own.freedom) * float(np.sqrt(seed_part[0]))
        return (mean, mean - half, mean + half), SEEDS
    return _with_seeds(images, seed_part).difference(), over


def cell_interval(name: str, metric: str, results: Results) -> tuple[Interval, str]:
    """The same of one cell over all its seeds, whose own variance it is; a share's interval is inside [0, 1]."""
    seeds, weights = results.seeds(name, metric), {(name, metric): 1.0}
    values = results.values(name, metric)
    images, over = _images(weights, results, seeds), IMAGES_AND_SEEDS
    if images is None:
        images, over = _most_of_images(weights, results, seeds), AT_MOST
    if len(seeds) < 2 or images is None:
        return mean_interval(values), SEEDS if len(seeds) > 1 else ""
    return _with_seeds(images, (float(np.var(values, ddof=1)) / len(seeds), len(seeds) - 1)).share(), over


def _with_seeds(images: Estimate, seeds: tuple[float, int]) -> Estimate:
    """An estimate over images with the variance that comes from seeds, each as wide as it would be alone."""
    assert images.variance is not None
    (variance, freedom), both = seeds, images.variance + seeds[0]
    squares = images.reach**2 * images.variance + student(freedom) ** 2 * variance
    return replace(images, variance=both, reach=math.sqrt(squares / both) if both > 0 else images.reach)


def _own_spread(weights: Mapping[Term, float], results: Results, sums: Float[np.ndarray, " n"]) -> Spread | None:
    """Of the sum between seeds; None with a single seed."""
    if len(sums) < 2:
        return None
    own = Spread(float(sums.var(ddof=1)), len(sums) - 1)
    metrics = {metric for _, metric in weights}
    if len(metrics) > 1 or abs(sum(weights.values())) > 1e-9:
        return own
    pooled = pooled_spread(results, metrics.pop())
    expected = pooled.variance * sum(weight**2 for weight in weights.values())
    if not pooled.freedom or not expected or pooled.unequal & {name for name, _ in weights}:
        return own
    larger = own.variance / expected > fdtri(own.freedom, pooled.freedom, 1 - _LARGER)
    return own if larger else Spread(expected, pooled.freedom)


def _images(weights: Mapping[Term, float], results: Results, seeds: list[int]) -> Estimate | None:
    """The sum as a mean over test images, and the part of its variance that they have."""
    rows = []
    for seed in seeds:
        parts = [(weight, results.right(*term, seed)) for term, weight in weights.items()]
        if any(right is None for _, right in parts):
            return None
        rows.append(sum(weight * right.astype(float) for weight, right in parts if right is not None))
    return estimate(np.array(rows), units=[0] * len(rows), drawn=False)


def _most_of_images(weights: Mapping[Term, float], results: Results, seeds: list[int]) -> Estimate | None:
    """The same where it is not recorded which images are right: the most that their part can be.

    (P^2 a (1 - a) + N^2 b (1 - b)) / m: P and -N are the sums of the positive and the negative weights, a and b the
    means of the shares that they weigh. It takes for granted that an image which one side gets right is not more often
    wrong for the other.
    """
    counts = {results.asked(*term, seed) for term in weights for seed in seeds}
    m = counts.pop() if len(counts) == 1 else None
    if m is None:
        return None
    means = {term: float(np.mean([results.value(*term, seed) for seed in seeds])) for term in weights}
    variance = 0.0
    for sign in (1, -1):
        side = {term: sign * weight for term, weight in weights.items() if sign * weight > 0}
        total = sum(side.values())
        share = sum(weight * means[term] for term, weight in side.items()) / total if side else 0.0
        variance += total**2 * share * (1 - share) / m
    mean = sum(weight * means[term] for term, weight in weights.items())
    return Estimate(mean=mean, variance=variance, reach=student(m - 1), images=float(m))
