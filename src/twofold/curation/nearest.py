"""Nearest neighbours by the cosine of embeddings: exact, in tiles, in bounded memory.

Legend: n rows of the bank, m queries, d features, k neighbours.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64

from twofold.console import with_progress
from twofold.evaluation.knn import BLOCK, unit

_CELLS = 2**26  # cosines held at a time: 256 MiB
_PART = 65_536  # rows of a bank that are read at a time
_GROUP = 16  # columns of which at first only the largest number counts


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k nearest rows of each query, nearest first."""

    cosines: Float32[np.ndarray, "m k"]  # in [-1, 1]
    rows: Int64[np.ndarray, "m k"]
    recall: float = 1.0  # share of the k nearest that are here, in [0, 1]: measured where not all rows were compared

    def first(self, k: int) -> "Neighbours":
        """The k nearest alone."""
        return Neighbours(self.cosines[:, :k], self.rows[:, :k], self.recall)


def nearest_others(h: Float32[np.ndarray, "n d"], k: int) -> Neighbours:
    """The k nearest other rows of each row (n - 1 where there are fewer).

    Time is n² d, memory n (d + 3 k) numbers and 256 MiB. Raises NotFiniteError for numbers that are not finite.
    """
    return _nearest(h, h, min(k, max(len(h) - 1, 0)), but_self=True)


def nearest_rows(queries: Float32[np.ndarray, "m d"], bank: Float32[np.ndarray, "n d"], k: int) -> Neighbours:
    """The k rows of `bank` that are nearest to each query (n where there are fewer); errors as above.

    The bank is read a part at a time: memory is (m + 65,536) d, 3 m k numbers for each part, and 256 MiB.
    """
    cosines, rows = np.zeros((len(queries), 0), np.float32), np.zeros((len(queries), 0), np.int64)
    for start in range(0, len(bank), _PART):
        part = np.ascontiguousarray(bank[start : start + _PART])
        near = _nearest(queries, part, min(k, len(part)), but_self=False)
        cosines = np.concatenate([cosines, near.cosines], 1)
        rows = np.concatenate([rows, near.rows + start], 1)
        if start:
            order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
            cosines, rows = np.take_along_axis(cosines, order, 1), np.take_along_axis(rows, order, 1)
    return Neighbours(cosines, rows)


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
        cosines[start : start + block], rows[start : start + block] = largest(tile, k)
    return Neighbours(cosines.clamp_(-1, 1).numpy(), rows.numpy())


def largest(x: Float32[torch.Tensor, "m n"], k: int) -> tuple[Float32[torch.Tensor, "m k"], Int64[torch.Tensor, "m k"]]:
    """The k largest numbers of each row, the largest first, and their columns: torch.topk in half the time.

    They lie in the k groups of 16 columns with the largest maxima, or among the few columns that are left over.
    """
    m, n = x.shape
    width = n // _GROUP  # group j holds the columns j, j + width, ...
    if width <= 4 * k:
        return torch.topk(x, k, dim=1)
    groups = x[:, : _GROUP * width].view(m, _GROUP, width).amax(1).topk(k, dim=1, sorted=False).indices
    inside = (groups[:, None] + width * torch.arange(_GROUP)[:, None]).flatten(1)
    columns = torch.cat([inside, torch.arange(_GROUP * width, n).expand(m, -1)], 1)
    numbers, places = x.gather(1, columns).topk(k, dim=1)
    return numbers, columns.gather(1, places)
