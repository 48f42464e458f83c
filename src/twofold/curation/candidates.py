"""Which pairs of images to compare by their pixels: those with near outlines, one whole, the other whole or a crop.

Legend: n images, s pixels a side, d numbers of an outline, p pairs.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from twofold.curation.cells import build_cells
from twofold.curation.crops import averages, colours
from twofold.curation.nearest import Neighbours, nearest_rows

_PLACES = 8  # along each side of an outline
_CROPS = [(0.0, 0.0, 1.0), *((top, left, 0.93) for top in (0.0, 0.07) for left in (0.0, 0.07))]  # (top, left, side)
_NEAREST = 5  # images for each crop, one of them often the image itself
_NEAR = 0.8  # cosine of outlines from which pixels are compared
_PAIRS = 2  # pairs for each image on average, at most
_FEW_PAIRS = 50_000  # or this many
_EXACT_UP_TO = 8192  # images; among more each is compared with those of the nearest cells
_COMPARED = 4096  # images in those cells, at least
_AT_ONCE = 4096

Pairs = tuple[Int64[np.ndarray, "_ 2"], Float32[np.ndarray, " _"]]  # as many rows of both; how early to compare each


def candidates(thumbs: UInt8[np.ndarray, "n s s 3"], near: Neighbours | None = None) -> Int64[np.ndarray, "p 2"]:
    """Pairs of rows, in order, the lower first: those with near outlines (a cosine from 0.8 on), 2 n or 50,000 at most.

    The whole of each image and four crops of 0.93, one in each corner, look for the five nearest whole images; the
    five nearest by the embeddings' `near` come to these. The nearest of each comes before the second of any, so
    that images with many others near them leave some pairs to the rest.
    """
    n = len(thumbs)
    whole = outlines(thumbs, _CROPS[0])
    parts = [] if near is None else list(_of_encoder(whole, near))
    nearest = _search(whole)
    for crop in _CROPS:
        found = nearest(outlines(thumbs, crop))
        parts.append(_pairs(found.rows, found.cosines))
    pairs, ranks = _first_of_each(n, parts)
    kept = np.argsort(ranks, kind="stable")[: max(_PAIRS * n, _FEW_PAIRS)]
    return pairs[np.sort(kept)]


def outlines(thumbs: UInt8[np.ndarray, "n s s 3"], crop: tuple[float, float, float]) -> Float32[Tensor, "n d"]:
    """A rough vector of length 1, as a mirror leaves it: luminance at 8 x 8 places, colour at 4 x 4, less their means.

    That is the sum of the crop (top, left, side) and its mirror image, and the size of what they differ by, of the
    left half alone. 0 for an image of one colour.
    """
    top, left, side = crop
    rows, columns = torch.tensor([top, top + side]), torch.tensor([left, left + side])
    parts = [torch.zeros(0, _PLACES * _PLACES * 3 // 2)]
    for start in range(0, len(thumbs), _AT_ONCE):
        x = colours(thumbs[start : start + _AT_ONCE])
        x = averages(rows, x.shape[-1], _PLACES) @ x @ averages(columns, x.shape[-1], _PLACES).T
        x = x - x.mean((2, 3), keepdim=True)
        luma, chroma = x[:, :1], 2 * torch.nn.functional.avg_pool2d(x[:, 1:], 2)  # a place of chroma counts for four
        parts.append(torch.cat([_unmirrored(luma), _unmirrored(chroma)], 1))
    return torch.nn.functional.normalize(torch.cat(parts), dim=1, eps=1e-3)


def _unmirrored(x: Float32[Tensor, "n c t t"]) -> Float32[Tensor, "n c*t*t"]:
    half = x.shape[-1] // 2
    left, right = x[..., :half], x.flip(-1)[..., :half]
    return torch.cat([left + right, (left - right).abs()], -1).flatten(1)


def _search(whole: Float32[Tensor, "n d"]) -> Callable[[Float32[Tensor, "n d"]], Neighbours]:
    if len(whole) <= _EXACT_UP_TO:
        return lambda queries: nearest_rows(queries.numpy(), whole.numpy(), _NEAREST)
    cells = build_cells(whole.numpy())
    return lambda queries: cells.nearest(queries, _NEAREST, compared=_COMPARED)


def _of_encoder(whole: Float32[Tensor, "n d"], near: Neighbours) -> Iterator[Pairs]:
    for start in range(0, len(whole), _AT_ONCE):
        rows = np.asarray(near.rows[start : start + _AT_ONCE, :_NEAREST])
        cosines = torch.einsum("nd,nkd->nk", whole[start : start + _AT_ONCE], whole[torch.from_numpy(rows)])
        yield _pairs(rows, cosines.numpy(), first=start)


def _pairs(rows: Int64[np.ndarray, "m k"], cosines: Float32[np.ndarray, "m k"], *, first: int = 0) -> Pairs:
    """Those that are near enough, of different rows; the queries are the rows from the first on.

    They are to be compared by their place among the others of the query, and then by their cosine.
    """
    own = np.broadcast_to(np.arange(first, first + len(rows))[:, None], rows.shape)
    is_other = rows != own
    ranks = is_other.cumsum(1, dtype=np.float32) - cosines
    kept = (cosines >= _NEAR) & is_other
    low, high = np.minimum(own, rows)[kept], np.maximum(own, rows)[kept]
    return np.stack([low, high], 1), ranks[kept]


def _first_of_each(n: int, parts: list[Pairs]) -> Pairs:
    """Every pair once, with its lowest rank, in order."""
    pairs, ranks = np.concatenate([one[0] for one in parts]), np.concatenate([one[1] for one in parts])
    names = pairs[:, 0] * n + pairs[:, 1]
    order = np.lexsort((ranks, names))
    firsts = order[np.diff(names[order], prepend=-1) > 0]
    return pairs[firsts], ranks[firsts]
