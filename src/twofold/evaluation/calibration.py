"""Probabilities that mean what they say: logits divided by a temperature, fitted on images held out while fitting.

Legend: n held-out images, c classes.
"""

import numpy as np
from jaxtyping import Float, Float64, Integer

_TEMPERATURES = (0.05, 20.0)


def softmax(logits: Float[np.ndarray, "n c"], temperature: float = 1.0) -> Float64[np.ndarray, "n c"]:
    """exp(logit / T) / sum of them, in each row."""
    scaled = logits.astype(np.float64) / temperature
    odds = np.exp(scaled - scaled.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def fit_temperature(
    logits: Float[np.ndarray, "n c"], y: Integer[np.ndarray, " n"], *, count: float | None = None
) -> float:
    """The T in [0.05, 20] with the lowest cross-entropy of softmax(logits / T) on held-out images (Guo et al. 2017).

    The target is (n + 1) / (n + c) for the true class and 1 / (n + c) for the others, as in Platt's scaling: few images
    that are all right do not make the classifier certain. Where images come in groups, n is the `count` of independent
    ones.
    """
    from scipy.optimize import minimize_scalar  # half a second, which a run that fits nothing need not wait for

    c = logits.shape[1]
    n = float(len(logits)) if count is None else count
    target = np.full(logits.shape, 1 / (n + c))
    target[np.arange(len(logits)), y] = (n + 1) / (n + c)

    def loss(log_temperature: float) -> float:
        p = softmax(logits, float(np.exp(log_temperature)))
        return float(-(target * np.log(np.maximum(p, 1e-300))).sum(1).mean())

    low, high = np.log(_TEMPERATURES)
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))
