"""Embeddings that are not finite are refused here, before any number is made of them."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from twofold.errors import NotFiniteError


def require_finite(embeddings: Float[Tensor, "n d"] | Float[np.ndarray, "n d"], owner: str = "the encoder") -> None:
    """Raises NotFiniteError, naming the `owner` and the number of such rows, where some row's length is not finite.

    That is so where one of its numbers is not, and where their squares overflow: no cosine can be taken of it.
    """
    bad = int((~torch.linalg.vector_norm(torch.as_tensor(embeddings), dim=1).isfinite()).sum())
    if bad == 0:
        return
    raise NotFiniteError(
        f"{owner} gives numbers that are not finite for {bad:,} of {len(embeddings):,} images, but measuring needs "
        "finite ones. Train again with a lower rate ('twofold pretrain ... --base-lr 0.1'), or use --precision fp32."
    )
