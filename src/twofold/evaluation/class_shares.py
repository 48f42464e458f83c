"""How frequent each class is among images without labels, and answers aligned to that.

Legend: m images, k classes.
"""

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

_PULL = 0.1  # of the weight of all images: an estimate from few labels is a rough one
_ROUNDS = 100
_MEMORY = 100  # batches


def estimate_shares(
    probabilities: Float64[np.ndarray, "m k"], prior: Float64[np.ndarray, " k"]
) -> Float64[np.ndarray, " k"]:
    """The shares q of the classes among the images, which sum to 1.

    `probabilities` are those of a classifier whose labels have the shares u, `prior`. The fixed point, over the m
    images, of

        q_j = (mean_i (p_ij q_j / u_j) / (sum_l p_il q_l / u_l) + u_j / 10) / (11 / 10)

    Without its last term this is the estimate of Saerens et al. (2002); the term pulls the shares to u, so that
    no share is 0.
    """
    shares = prior
    for _ in range(_ROUNDS):
        odds = probabilities * (shares / prior)
        before, shares = shares, (odds / odds.sum(1, keepdims=True)).mean(0)
        shares = (shares + _PULL * prior) / (1 + _PULL)
        if np.abs(shares - before).max() < 1e-6:
            break
    return shares


class Alignment:
    """Brings the mean answer of a teacher to the `shares` of the classes; None leaves answers as they are.

    p_j -> p_j shares_j / seen_j, scaled to sum to 1, where `seen` is the mean answer over the last hundred batches or
    so (Berthelot et al., 2020).
    """

    def __init__(self, shares: Float[Tensor, " k"] | None) -> None:
        self._shares = shares
        self._seen = torch.zeros(0)
        self._batches = 0

    def __call__(self, probabilities: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """Aligned probabilities (n, k); the batch counts for what is seen."""
        if self._shares is None:
            return probabilities
        mean = probabilities.mean(0)
        self._batches += 1
        weight = 1 / min(self._batches, _MEMORY)
        self._seen = mean if self._batches == 1 else torch.lerp(self._seen, mean, weight)
        aligned = probabilities * (self._shares / self._seen.clamp_min(1e-6))
        return aligned / aligned.sum(1, keepdim=True)
