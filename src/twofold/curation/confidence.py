"""How far an answer can be trusted: conformal claims, from images held out while fitting.

Legend: n held-out images, m new ones, c classes.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float64, Integer

_DOUBT = 0.1  # probability at most that too many answers are wrong


def p_values(scores: Float[np.ndarray, " m"], held_out: Float[np.ndarray, " n"]) -> Float64[np.ndarray, " m"]:
    """Conformal p = (1 + number of held-out scores >= score) / (n + 1), in (0, 1]; high scores are strange.

    Of images like the held-out ones, at most a share a has p <= a (Vovk et al. 2005). None can be below 1 / (n + 1).
    """
    order = np.sort(held_out)
    return (1 + len(order) - np.searchsorted(order, scores, side="left")) / (len(order) + 1)


def set_threshold(p: Float64[np.ndarray, "n c"], y: Integer[np.ndarray, " n"], coverage: float) -> float:
    """The q for which {k: p_k >= q} holds the true class of at least a share `coverage` of images like these.

    q is the floor((n + 1) (1 - coverage))-th smallest p_y of the n held-out images; 0, so that sets hold every class,
    where n is too small for the claim (Vovk et al. 2005).
    """
    place = int(np.floor((len(y) + 1) * (1 - coverage) + 1e-9))
    own = np.sort(p[np.arange(len(y)), y])
    return float(own[place - 1]) if place >= 1 else 0.0


def answer_threshold(
    confidence: Float64[np.ndarray, " n"], right: Bool[np.ndarray, " n"], most_wrong: float
) -> float | None:
    """The lowest confidence from which on at most a share `most_wrong` of answers is wrong, at 90 % confidence.

    The lowest t among the held-out confidences with P(Binomial(answered, most_wrong) <= wrong) <= 0.1, counted over
    those >= t: so few would be wrong by chance in one case of ten at most (Clopper and Pearson 1934; for abstention
    Geifman and El-Yaniv 2017). None where there is no such t.
    """
    from scipy.special import bdtr

    order = np.argsort(-confidence, kind="stable")
    sorted_confidence = confidence[order]
    wrong, answered = np.cumsum(~right[order]), np.arange(1, len(order) + 1)
    last_of_equals = np.append(sorted_confidence[1:] < sorted_confidence[:-1], True)[: len(order)]
    kept = np.flatnonzero((bdtr(wrong, answered, most_wrong) <= _DOUBT) & last_of_equals)
    return float(sorted_confidence[kept[-1]]) if len(kept) else None


def reliability(
    confidence: Float64[np.ndarray, " n"], right: Bool[np.ndarray, " n"], bins: int = 10
) -> Sequence[tuple[float, float, int]]:
    """(mean confidence, share right, images) of each tenth of the range of confidence that has an image."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    inside = [place == number for number in range(bins)]
    return [(float(confidence[own].mean()), float(right[own].mean()), int(own.sum())) for own in inside if own.any()]
