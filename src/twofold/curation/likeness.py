"""How alike the pixels of two images are, whatever was done to a copy: saved anew, resized, mirrored, cropped a little.

A perceptual comparison in two steps. `outline` is a rough vector to find candidates with, by nearest neighbours.
`likeness` then tries crops of either image, mirrored and not, and takes the best correlation of the details.
"""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from twofold.console import with_progress

Crops = tuple[tuple[float, int], ...]  # (side of crops as a share, places along each side)

_ALL: Crops = ((1.0, 1), (0.95, 5), (0.9, 5), (0.85, 5))
_FEW: Crops = ((1.0, 1), (0.92, 3))  # for a first look
_WORTH_ALL = 0.6  # at the first look
_SMALL = 16  # px at which details are compared
_BLUR = 5  # px of the average that is taken away: what is left are details
_AT_ONCE = 64  # pairs
_PLACES = 8  # along each side of an outline
_INNER = 0.93  # of the sides


def outline(thumbs: UInt8[np.ndarray, "n s s 3"], *, inner: bool = False) -> Float32[np.ndarray, "n 192"]:
    """The colours at 8 x 8 places, less their mean, as a mirror leaves them: near for copies, also for other images.

    That is the mean of the image and its mirror image, and the size of what they differ by, of the left half alone.
    Of the inner 0.93 of its sides where that is asked for: a copy may be a crop.
    """
    half = _PLACES // 2
    parts = [torch.zeros(0, 3 * _PLACES * _PLACES)]
    for start in range(0, len(thumbs), 4096):
        x = _channels_first(thumbs[start : start + 4096])
        share = _INNER if inner else 1.0
        cut = _average(x.shape[-1], (1 - share) / 2, share, _PLACES)
        x = cut @ x @ cut.T
        x = x - x.mean((1, 2, 3), keepdim=True)
        left, right = x[..., :half], x.flip(-1)[..., :half]
        parts.append(torch.cat([left + right, (left - right).abs()], -1).flatten(1))
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
    """The whole of either image against the crops of the other, and of its mirror image."""
    rows, places = np.unique(pairs, return_inverse=True)
    details = _details(thumbs[rows], crops)
    whole = details[:, :, 0]
    mirrored = whole.unflatten(-1, (_SMALL, _SMALL)).flip(-1).flatten(-2)
    targets = torch.stack([whole, mirrored], -1)  # (m, 3, t t, 2)
    a, b = torch.from_numpy(places.reshape(-1, 2)).T
    return torch.maximum(_fit(details[a], targets[b]), _fit(details[b], targets[a])).numpy()


def _fit(details: Float32[Tensor, "p 3 k d"], targets: Float32[Tensor, "p 3 d 2"]) -> Float32[Tensor, " p"]:
    return (details @ targets).sum(1).amax((1, 2))


def _details(thumbs: UInt8[np.ndarray, "m s s 3"], crops: Crops) -> Float32[Tensor, "m 3 k d"]:
    """Each crop at 16 px less its blur, as a vector over channels and pixels of length 1, or shorter where faint.

    Crops are A x B^T with A and B among the windows of a share, the blur P of one (P A) x (P B)^T.
    """
    x, parts = _channels_first(thumbs), []
    for share, places in crops:
        windows = _windows(x.shape[-1], share, places)
        parts.append(_cut(x, windows) - _cut(x, _blur() @ windows))
    details = torch.cat(parts, 2)
    return details / details.square().sum((1, 3), keepdim=True).sqrt().clamp(min=1.0)


def _cut(x: Float32[Tensor, "m 3 s s"], windows: Float32[Tensor, "w t s"]) -> Float32[Tensor, "m 3 w2 t2"]:
    """A x B^T of each pair of windows A, B; two products of all windows at once."""
    all_windows = windows.flatten(0, 1)
    cut = all_windows @ (x @ all_windows.T)  # (m, 3, w t, w t)
    t = windows.shape[1]
    return cut.unflatten(-1, (-1, t)).unflatten(-3, (-1, t)).transpose(-3, -2).flatten(-2).flatten(-3, -2)


@cache
def _windows(side: int, share: float, places: int) -> Float32[Tensor, "k t s"]:
    """Matrices that cut a crop of the share out of a side, at each place, and shrink it to 16 px."""
    starts = np.linspace(0, 1 - share, places).tolist()
    return torch.stack([_average(side, first, share) for first in starts])


def _blur() -> Float32[Tensor, "t t"]:
    """Row i: the mean of the pixels within 2 px of i."""
    places = torch.arange(_SMALL)
    near = ((places[:, None] - places).abs() <= _BLUR // 2).float()
    return near / near.sum(1, keepdim=True)


def _average(side: int, first: float, share: float, parts: int = _SMALL) -> Float32[Tensor, "t s"]:
    """Row i: how much each of the `side` pixels lies in the i-th part of the crop."""
    edges = torch.linspace(first * side, (first + share) * side, parts + 1)
    pixels = torch.arange(side)
    low = torch.maximum(edges[:-1, None], pixels)
    high = torch.minimum(edges[1:, None], pixels + 1)
    inside = (high - low).clamp(min=0)
    return inside / inside.sum(1, keepdim=True)


def _channels_first(thumbs: UInt8[np.ndarray, "n s s 3"]) -> Float32[Tensor, "n 3 s s"]:
    return torch.from_numpy(np.ascontiguousarray(thumbs)).permute(0, 3, 1, 2).float().contiguous()
