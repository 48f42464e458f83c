"""What one way of measuring with one seed says about every test picture."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

Labels = int | float | str  # labels per class, a fraction of the labels in (0, 1), or "all"
RANKS = 5


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Predictions for every test row, of one way of measuring with one seed.

    Attempts with the same `weights`, those of an untrained encoder, are not independent: they count as one.
    """

    protocol: str
    encoder: str
    labels: Labels
    seed: int
    ranked: Int64[np.ndarray, "m r"]  # classes, the likeliest first, five at most
    confidence: Float32[np.ndarray, " m"]  # probability given to the first, in [0, 1]
    l2: float | None = None
    base_lr: float | None = None
    weights: int | None = None
    converged: bool = True
    seconds: float = 0.0  # that it took; what was made together is counted at the first

    @property
    def predicted(self) -> Int64[np.ndarray, " m"]:
        """The likeliest class of each row."""
        return self.ranked[:, 0]


def rank_classes(
    scores: Float32[np.ndarray, "m k"] | Float64[np.ndarray, "m k"],
) -> Int64[np.ndarray, "m r"]:
    """The five classes (or all) with the highest scores, highest first; of equals the lower class first."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :RANKS].astype(np.int64)


def softmax_confidence(logits: Float32[np.ndarray, "m k"]) -> Float32[np.ndarray, " m"]:
    """The largest of softmax(logits) in each row: 1 / sum_j exp(logit_j - max logit)."""
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    return (1 / np.exp(shifted).sum(1)).astype(np.float32)
