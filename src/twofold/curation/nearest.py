"""Nearest neighbours by the cosine of embeddings: exact, in tiles, in bounded memory.

Legend: n rows of the bank, m queries, d features, k neighbours.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64

from twofold.console import with_progress
from twofold.evaluation.nearest_neighbours import BLOCK, unit

_CELLS = 2**27  # cosines held at a time: 512 MiB


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k nearest rows of each query, nearest first."""

    cosines: Float32[np.ndarray, "m k"]  # in [-1, 1]
    rows: Int64[np.ndarray, "m k"]

    def first(self, k: int) -> "Neighbours":
        """The k nearest alone."""
        return Neighbours(self.cosines[:, :k], self.rows[:, :k])


def nearest_others(h: Float32[np.ndarray, "n d"], k: int) -> Neighbours:
    """The k nearest other rows of each row (n - 1 where there are fewer).

    Time is n² d, memory n (d + 3 k) numbers and 512 MiB. Raises NotFiniteError for numbers that are not finite.
    """
    return _nearest(h, h, min(k, max(len(h) - 1, 0)), but_self=True)


def nearest_rows(queries: Float32[np.ndarray, "m d"], bank: Float32[np.ndarray, "n d"], k: int) -> Neighbours:
    """The k rows of `bank` that are nearest to each query (n where there are fewer); memory and errors as above."""
    return _nearest(queries, bank, min(k, len(bank)), but_self=False)


def _nearest(queries: np.ndarray, bank: np.ndarray, k: int, *, but_self: bool) -> Neighbours:
    b = unit(bank)
    a = b if but_self else unit(queries)
    m, n = len(a), len(b)
    cosines, rows = torch.zeros(m, k), torch.zeros(m, k, dtype=torch.int64)
    block = max(1, min(BLOCK, _CELLS // max(n, 1)))
    for start in with_progress(range(0, m if k else 0, block), "Comparing images", step=block, total=m):
        tile = a[start : start + block] @ b.T
        if but_self:
            own = torch.arange(len(tile))
            tile[own, own + start] = -torch.inf
        cosines[start : start + block], rows[start : start + block] = torch.topk(tile, k, dim=1)
    return Neighbours(cosines.clamp_(-1, 1).numpy(), rows.numpy())
