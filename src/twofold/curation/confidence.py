"""How far an answer can be trusted: conformal claims, from images held out while fitting.

Legend: n held-out images, m new ones, c classes. Images of one of the `groups` are taken to be alike, so n images count
as few as `effective_count` says, and claims are about images of other groups.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Integer

from twofold.evaluation.intervals import effective_count

_DOUBT = 0.1  # probability at most that too many answers are wrong


def p_values(
    scores: Float[np.ndarray, " m"], held_out: Float[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None = None
) -> Float64[np.ndarray, " m"]:
    """Conformal p = (1 + number of held-out scores >= score) / (n + 1), in (0, 1]; high scores are strange.

    Of images like the held-out ones, at most a share a has p <= a (Vovk et al. 2005). None can be below 1 / (n + 1).
    """
    order = np.sort(held_out)
    count = _count(order, groups)
    higher = (len(order) - np.searchsorted(order, scores, side="left")) * (count / max(1, len(order)))
    return (1 + higher) / (count + 1)


def set_threshold(
    p: Float64[np.ndarray, "n c"],
    y: Integer[np.ndarray, " n"],
    coverage: float,
    groups: Int64[np.ndarray, " n"] | None = None,
) -> float:
    """The q for which {k: p_k >= q} holds the true class of at least a share `coverage` of images like these.

    q is the floor((n + 1) (1 - coverage))-th smallest p_y of the n held-out images; 0, so that sets hold every class,
    where n is too small for the claim (Vovk et al. 2005).
    """
    count = _count(y, groups)
    place = int(np.floor((count + 1) * (1 - coverage) + 1e-9) * (len(y) / count) + 1e-9)
    own = np.sort(p[np.arange(len(y)), y])
    return float(own[place - 1]) if place >= 1 else 0.0


def answer_threshold(
    confidence: Float64[np.ndarray, " n"],
    right: Bool[np.ndarray, " n"],
    most_wrong: float,
    groups: Int64[np.ndarray, " n"] | None = None,
) -> float | None:
    """The lowest confidence from which on at most a share `most_wrong` of answers is wrong, at 90 % confidence.

    The lowest t among the held-out confidences with P(Binomial(answered, most_wrong) <= wrong) <= 0.1, counted over
    those >= t: so few would be wrong by chance in one case of ten at most (Clopper and Pearson 1934; for abstention
    Geifman and El-Yaniv 2017). None where there is no such t.
    """
    from scipy.special import betainc

    order = np.argsort(-confidence, kind="stable")
    sorted_confidence = confidence[order]
    wrong, answered = np.cumsum(~right[order]), np.arange(1, len(order) + 1)
    counts = answered if groups is None else answered**2 / np.cumsum(2 * _earlier_of_group(groups[order]) + 1)
    wrongs = wrong / answered * counts
    by_chance = betainc(np.maximum(counts - wrongs, 1e-12), wrongs + 1, 1 - most_wrong)  # of a binomial, n not whole
    last_of_equals = np.append(sorted_confidence[1:] < sorted_confidence[:-1], True)[: len(order)]
    kept = np.flatnonzero((by_chance <= _DOUBT) & last_of_equals)
    return float(sorted_confidence[kept[-1]]) if len(kept) else None


def _count(images: np.ndarray, groups: Int64[np.ndarray, " n"] | None) -> float:
    return float(len(images)) if groups is None else effective_count(groups)


def _earlier_of_group(groups: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """How many of the images before it each image shares its group with."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.append(True, groups[order][1:] != groups[order][:-1]))
    first = np.repeat(starts, np.diff(np.append(starts, len(groups))))
    earlier = np.empty(len(groups), np.int64)
    earlier[order] = np.arange(len(groups)) - first
    return earlier


def reliability(
    confidence: Float64[np.ndarray, " n"], right: Bool[np.ndarray, " n"], bins: int = 10
) -> Sequence[tuple[float, float, int]]:
    """(mean confidence, share right, images) of each tenth of the range of confidence that has an image."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    inside = [place == number for number in range(bins)]
    return [(float(confidence[own].mean()), float(right[own].mean()), int(own.sum())) for own in inside if own.any()]
