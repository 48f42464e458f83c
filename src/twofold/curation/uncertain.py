"""Which images to label next, once some are: those a classifier is least sure of."""

import numpy as np
from jaxtyping import Float32, Float64, Int64, Integer

from twofold.evaluation import fit_linear, fit_scaling
from twofold.evaluation.calibration import softmax

_L2 = 1e-2
_ITERATIONS = 200


def probabilities_from(
    h: Float32[np.ndarray, "n d"], rows: Integer[np.ndarray, " m"], y: Integer[np.ndarray, " m"], classes: int
) -> Float64[np.ndarray, "n c"]:
    """softmax of a linear classifier on h that is fitted to the labels `y` (0 ... classes - 1) of `rows`."""
    scaling = fit_scaling(np.asarray(h))
    probe = fit_linear(scaling(h[rows]), y, classes, _L2, tolerance=1e-6, iterations=_ITERATIONS)
    return softmax(probe.logits(scaling(np.asarray(h))))


def pick_uncertain(
    p: Float64[np.ndarray, "n c"], count: int, *, taken: Integer[np.ndarray, " t"]
) -> Int64[np.ndarray, " b"]:
    """By margin: the images with the least difference of their two highest probabilities, the least sure first."""
    top = np.sort(p, axis=1)[:, -2:]
    margin = top[:, -1] - top[:, 0] if p.shape[1] > 1 else np.ones(len(p))
    margin[taken] = np.inf
    return np.argsort(margin, kind="stable")[: min(count, len(p) - len(taken))].astype(np.int64)
