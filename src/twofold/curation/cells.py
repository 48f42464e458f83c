"""Nearest neighbours among very many rows, nearly exact: a row is compared with those of the nearest cells alone.

Cells are k-means of directions (an inverted file). Up to 50,000 rows every pair is compared instead.

Legend: n rows of the bank, m queries, d features, k neighbours, c cells.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from twofold.console import with_progress
from twofold.curation.nearest import Neighbours, largest, nearest_others
from twofold.evaluation.knn import unit
from twofold.models.finite import require_finite

EXACT_UP_TO = 50_000  # rows
_ROWS_A_CELL = 64  # on average, or more
_MOST_CELLS = 4096
_COMPARED = 16_384  # rows that each row is compared with, at least
_LEARNT_FROM = 16  # rows a cell, of which the centres are found
_ROUNDS = 6
_PART = 65_536  # rows that are read at a time
_TILE = 2**24  # cosines held at a time: 64 MiB
_SAMPLE = 200  # rows on which recall is measured


@dataclass(frozen=True, eq=False)
class Cells:
    """The rows of a bank, cell after cell: those of cell j lie from starts[j] to starts[j + 1]."""

    centres: Float32[Tensor, "c d"]
    bank: Float32[Tensor, "n d"]  # of length 1
    rows: Int64[Tensor, " n"]  # of each, in the bank that was given
    starts: list[int]

    def others(self, k: int) -> Neighbours:
        """About the k nearest other rows of each row."""
        cosines, found = torch.zeros(len(self.rows), k), torch.zeros(len(self.rows), k, dtype=torch.int64)
        for cell in self._each():
            own = slice(self.starts[cell], self.starts[cell + 1])
            for part, near, rows in self._nearest(cell, self.bank[own], k, _COMPARED, but_self=True):
                places = self.rows[own][part]
                cosines[places], found[places] = near, rows
        return Neighbours(cosines.clamp_(-1, 1).numpy(), found.numpy())

    def recall(self, near: Neighbours, *, seed: int = 0) -> float:
        """Share of the k nearest others of 200 random rows that are among their neighbours in `near`, in [0, 1]."""
        k = near.rows.shape[1]
        shares = []
        for place in np.random.default_rng(seed).permutation(len(self.rows))[:_SAMPLE].tolist():
            nearness = self.bank @ self.bank[place]
            nearness[place] = -torch.inf
            truth = self.rows[nearness.topk(k).indices]
            shares.append(np.isin(truth.numpy(), near.rows[int(self.rows[place])]).mean())
        return float(np.mean(shares))

    def nearest(self, queries: Float32[Tensor, "m d"], k: int, *, compared: int = _COMPARED) -> Neighbours:
        """About the k nearest rows of each query, among at least `compared` rows; queries have length 1."""
        cosines, found = torch.zeros(len(queries), k), torch.zeros(len(queries), k, dtype=torch.int64)
        order, starts = _by_cell([_nearest_centre(queries, self.centres)], len(self.centres))
        for cell in self._each():
            own = order[starts[cell] : starts[cell + 1]]
            for part, near, rows in self._nearest(cell, queries[own], k, compared, but_self=False):
                cosines[own[part]], found[own[part]] = near, rows
        return Neighbours(cosines.clamp_(-1, 1).numpy(), found.numpy())

    def _each(self) -> Iterator[int]:
        c = len(self.centres)
        yield from with_progress(range(c), "Comparing images", step=1, total=c)

    def _nearest(
        self, cell: int, queries: Float32[Tensor, "q d"], k: int, compared: int, *, but_self: bool
    ) -> Iterator[tuple[slice, Float32[Tensor, "p k"], Int64[Tensor, "p k"]]]:
        """The queries of one cell, some at a time; with `but_self` they are the rows of the cell in order."""
        if not len(queries):
            return
        around = self._around(cell, max(compared, 20 * k))
        bank, rows = (torch.cat([whole[part] for part in around]) for whole in (self.bank, self.rows))
        block = max(1, _TILE // len(rows))
        for start in range(0, len(queries), block):
            tile = queries[start : start + block] @ bank.T
            if but_self:  # the cell itself comes first in `around`
                own = torch.arange(len(tile))
                tile[own, start + own] = -torch.inf
            cosines, places = largest(tile, k)
            yield slice(start, start + len(tile)), cosines, rows[places]

    def _around(self, cell: int, count: int) -> list[slice]:
        """Where the cell lies, then the nearest others that together with it hold at least `count` rows."""
        nearness = self.centres @ self.centres[cell]
        nearness[cell] = torch.inf
        parts, held = [], 0
        for j in torch.argsort(nearness, descending=True).tolist():
            parts.append(slice(self.starts[j], self.starts[j + 1]))
            held += self.starts[j + 1] - self.starts[j]
            if held >= count:
                break
        return parts


def neighbours(h: Float32[np.ndarray, "n d"], k: int) -> Neighbours:
    """The k nearest other rows of each row by cosine: all of them up to 50,000 rows, above that most, with `recall`.

    Raises NotFiniteError for numbers that are not finite.
    """
    if len(h) <= EXACT_UP_TO:
        return nearest_others(h, k)
    cells = build_cells(h)
    near = cells.others(k)
    return Neighbours(near.cosines, near.rows, cells.recall(near))


def build_cells(h: Float32[np.ndarray, "n d"], *, seed: int = 0) -> Cells:
    """c = min(n / 64, 4096) cells of directions. Time is n c d, memory one copy of h.

    Raises NotFiniteError for numbers that are not finite.
    """
    require_finite(h)
    count = min(max(1, len(h) // _ROWS_A_CELL), _MOST_CELLS)
    generator = torch.Generator().manual_seed(seed)
    sample = unit(h[torch.randperm(len(h), generator=generator)[: _LEARNT_FROM * count].numpy()])
    centres = sample[:count].clone()
    for _ in range(_ROUNDS):
        sums = torch.zeros_like(centres).index_add_(0, _nearest_centre(sample, centres), sample)
        is_used = sums.norm(dim=1, keepdim=True) > 0
        centres = torch.where(is_used, torch.nn.functional.normalize(sums, dim=1), centres)
    parts = [slice(start, start + _PART) for start in range(0, len(h), _PART)]
    order, starts = _by_cell([_nearest_centre(unit(h[part]), centres) for part in parts], count)
    bank = torch.empty(h.shape)
    for part in parts:
        bank[part] = unit(h[order[part].numpy()])
    return Cells(centres, bank, order, starts)


def _by_cell(cells: list[Int64[Tensor, " p"]], count: int) -> tuple[Int64[Tensor, " m"], list[int]]:
    """The rows, cell after cell, and where each of the `count` cells begins; `cells` has that of each row, in parts."""
    own = torch.cat(cells)
    sizes = torch.bincount(own, minlength=count)
    return torch.argsort(own, stable=True), [0, *sizes.cumsum(0).tolist()]


def _nearest_centre(x: Float32[Tensor, "m d"], centres: Float32[Tensor, "c d"]) -> Int64[Tensor, " m"]:
    return torch.cat([(part @ centres.T).argmax(1) for part in x.split(max(1, _TILE // len(centres)))])
