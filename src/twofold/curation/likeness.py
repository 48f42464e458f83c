"""How alike the pixels of two images are, whatever was done to a copy: saved anew, resized, mirrored, cropped a little.

A perceptual comparison in two steps. `outline` is a rough vector to find candidates with, by nearest neighbours.
`likeness` then tries crops of either image, mirrored and not, and takes the best correlation of the details.
"""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize

from twofold.console import with_progress

_ALL = ((1.0, 1), (0.95, 5), (0.9, 5), (0.85, 5))  # (side of crops, places along each side)
_FEW = ((1.0, 1), (0.92, 3))  # for a first look
_WORTH_ALL = 0.6  # at the first look
_SMALL = 16  # px at which details are compared
_BLUR = 5  # px of the average that is taken away: what is left are details
_AT_ONCE = 64  # pairs
Crops = tuple[tuple[float, int], ...]


def outline(
    thumbs: UInt8[np.ndarray, "n s s 3"], *, mirrored: bool = False, inner: bool = False
) -> Float32[np.ndarray, "n 192"]:
    """The colours at 8 x 8 places, less their mean: near for copies, also for many other images.

    Of the mirrored image, or of the inner 0.93 of its sides, where that is asked for: a copy may be one of these.
    """
    parts = []
    for start in range(0, max(len(thumbs), 1), 4096):
        x = _channels_first(thumbs[start : start + 4096])
        x = x.flip(-1) if mirrored else x
        side = x.shape[-1]
        share = 0.93 if inner else 1.0
        cut = _average(side, (1 - share) / 2, share, 8)
        x = (cut @ x @ cut.T).flatten(1)
        parts.append(x - x.mean(1, keepdim=True))
    return torch.cat(parts).numpy()


def likeness(thumbs: UInt8[np.ndarray, "n s s 3"], pairs: Int64[np.ndarray, "p 2"]) -> Float32[np.ndarray, " p"]:
    """The best correlation in [-1, 1] of the details of each pair; 1 for the same pixels.

    Crops of 1, 0.95, 0.9 and 0.85 of either image at up to 25 places, and mirrored, are compared with the whole other;
    pairs that fewer crops show to be unlike are left at that.
    """
    best = np.zeros(len(pairs), np.float32)
    for start in with_progress(range(0, len(pairs), _AT_ONCE), "Comparing pixels", step=_AT_ONCE, total=len(pairs)):
        part = slice(start, start + _AT_ONCE)
        best[part] = _best(thumbs, pairs[part], _FEW)
    worth = np.flatnonzero(best >= _WORTH_ALL)
    for start in with_progress(range(0, len(worth), _AT_ONCE), "Comparing closely", step=_AT_ONCE, total=len(worth)):
        some = worth[start : start + _AT_ONCE]
        best[some] = np.maximum(best[some], _best(thumbs, pairs[some], _ALL))
    return best


def _best(thumbs: UInt8[np.ndarray, "n s s 3"], pairs: Int64[np.ndarray, "p 2"], crops: Crops) -> np.ndarray:
    a, b = (_channels_first(thumbs[pairs[:, side]]) for side in (0, 1))
    turned = a.flip(-1), b.flip(-1)
    tried = ((a, b), (a, turned[1]), (b, a), (b, turned[0]))
    return torch.stack([_in_crops(whole, other, crops) for whole, other in tried]).amax(0).numpy()


def _in_crops(whole: Float32[Tensor, "p 3 s s"], other: Float32[Tensor, "p 3 s s"], crops: Crops) -> Tensor:
    """The best correlation of `whole` with a crop of `other`."""
    target = _details(_crops(whole, _ALL[:1]))
    return (_details(_crops(other, crops)) * target).sum(-1).amax(1)


def _crops(x: Float32[Tensor, "p 3 s s"], crops: Crops) -> Float32[Tensor, "p m 3 t t"]:
    """Each crop at 16 px: two small matrix products, A X B^T."""
    parts = []
    for scale, places in crops:
        windows = _windows(x.shape[-1], scale, places)
        rows = torch.matmul(windows.flatten(0, 1), x)  # (p, 3, k t, s)
        both = torch.matmul(rows, windows.flatten(0, 1).T)  # (p, 3, k t, k t)
        cut = both.unflatten(2, (places, _SMALL)).unflatten(4, (places, _SMALL))
        parts.append(cut.permute(0, 2, 4, 1, 3, 5).flatten(1, 2))
    return torch.cat(parts, 1)


def _details(x: Float32[Tensor, "p m 3 t t"]) -> Float32[Tensor, "p m d"]:
    flat = x.flatten(0, 1)
    flat = flat - avg_pool2d(flat, _BLUR, 1, _BLUR // 2, count_include_pad=False)
    return normalize(flat.flatten(1), dim=1, eps=1.0).reshape(*x.shape[:2], -1)


@cache
def _windows(side: int, scale: float, places: int) -> Float32[Tensor, "k t s"]:
    """Matrices that cut a crop of the share `scale` out of a side, at each place, and shrink it to 16 px."""
    starts = np.linspace(0, 1 - scale, places).tolist()
    return torch.stack([_average(side, first, scale) for first in starts])


def _average(side: int, first: float, share: float, parts: int = _SMALL) -> Float32[Tensor, "t s"]:
    """Row i: how much each of the `side` pixels lies in the i-th part of the crop."""
    edges = torch.linspace(first * side, (first + share) * side, parts + 1)
    pixels = torch.arange(side)
    low = torch.maximum(edges[:-1, None], pixels)
    high = torch.minimum(edges[1:, None], pixels + 1)
    inside = (high - low).clamp(min=0)
    return inside / inside.sum(1, keepdim=True)


def _channels_first(thumbs: UInt8[np.ndarray, "n s s 3"]) -> Float32[Tensor, "n 3 s s"]:
    return torch.from_numpy(np.ascontiguousarray(thumbs)).permute(0, 3, 1, 2).float()
