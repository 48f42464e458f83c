"""How alike the pixels of two images are, whatever was done to a copy: saved anew, resized, mirrored, cropped a little.

A first look compares the luminance of either image with a few crops of the other, mirrored and not. Where that shows
some likeness, the edges of the best crop are moved until the details correlate best, now in colour.

Legend: p pairs, s pixels a side, t = 16 places a side, k crops, edges (first, last) of a crop as shares of the side.
"""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from twofold.console import with_progress
from twofold.curation.crops import averages, colours

_LOOKS = ((1.0, 1), (0.92, 3))  # crops of the first look: (share of the sides, places along each side)
_WORTH = 0.7  # likeness at the first look from which crops are aligned
_STEPS = (0.02, 0.01, 0.005)  # shares of the side by which edges are moved
_SMALL = 16  # px at which details are compared
_BLUR = 5  # px of the average that is taken away: what is left are details
_FAINT = 1.0  # length of details below which nothing is left to compare
_AT_ONCE = 256  # pairs


def likeness(thumbs: UInt8[np.ndarray, "n s s 3"], pairs: Int64[np.ndarray, "p 2"]) -> Float32[np.ndarray, " p"]:
    """The best correlation in [-1, 1] of the details of each pair; 1 for the same pixels.

    One image is whole, or mirrored, the other a crop of it. Pairs below 0.7 at the first look are left at that.
    """
    best = np.zeros(len(pairs), np.float32)
    for start in with_progress(range(0, len(pairs), _AT_ONCE), "Comparing pixels", step=_AT_ONCE, total=len(pairs)):
        some = pairs[start : start + _AT_ONCE]
        rows, places = np.unique(some, return_inverse=True)
        x = colours(thumbs[rows])
        best[start : start + _AT_ONCE] = _alike(x, torch.from_numpy(places.reshape(-1, 2))).numpy()
    return best


def _alike(x: Float32[Tensor, "m 3 s s"], pairs: Int64[Tensor, "p 2"]) -> Float32[Tensor, " p"]:
    cosines, is_second, is_mirrored, crops = _first_look(x[:, :1], pairs)
    worth = torch.nonzero(cosines >= _WORTH)[:, 0]
    if len(worth):
        pairs, is_second, is_mirrored = pairs[worth], is_second[worth], is_mirrored[worth]
        first, second = pairs.T
        cropped, whole = torch.where(is_second, second, first), torch.where(is_second, first, second)
        target = torch.where(is_mirrored[:, None, None, None], x[whole].flip(-1), x[whole])
        cosines[worth] = _aligned(x[cropped], target, crops[worth])
    return cosines


def _first_look(
    x: Float32[Tensor, "m 1 s s"], pairs: Int64[Tensor, "p 2"]
) -> tuple[Float32[Tensor, " p"], Tensor, Tensor, Float32[Tensor, "p 2 2"]]:
    """The best correlation, whether the second image is the crop, whether one is mirrored, the edges of the crop."""
    crops = _crops()
    side = x.shape[-1]
    a, b = (averages(crops[:, axis], side, _SMALL) for axis in (0, 1))
    details = _details((a @ x @ b.mT)[:, :, None]).flatten(2)  # (m, k, t t)
    whole = details[:, 0]
    mirrored = whole.unflatten(-1, (_SMALL, _SMALL)).flip(-1).flatten(-2)
    targets = torch.stack([whole, mirrored], -1)  # (m, t t, 2)
    first, second = pairs.T
    fits = torch.stack([details[first] @ targets[second], details[second] @ targets[first]], 1)  # (p, 2, k, 2)
    cosines, places = fits.flatten(1).max(1)
    return cosines, places >= 2 * len(crops), places % 2 == 1, crops[places // 2 % len(crops)]


def _aligned(
    x: Float32[Tensor, "p 3 s s"], target: Float32[Tensor, "p 3 s s"], crops: Float32[Tensor, "p 2 2"]
) -> Float32[Tensor, " p"]:
    """The correlation of the target with the crop of x whose edges fit best: moved in turn, by ever smaller steps."""
    side, rows = x.shape[-1], torch.arange(len(x))
    shrink = averages(torch.tensor([0.0, 1.0]), side, _SMALL)
    target = _details(shrink @ target @ shrink.T)
    moves = torch.cartesian_prod(*[torch.tensor([0.0, -1.0, 1.0])] * 2)  # (9, 2)
    best = torch.zeros(len(x))
    for step in _STEPS:
        for axis in (0, 1):
            edges = (crops[:, axis, None] + step * moves).clamp(0, 1)  # (p, 9, 2)
            moved, still = averages(edges, side, _SMALL), averages(crops[:, None, 1 - axis], side, _SMALL)
            a, b = (moved, still) if axis == 0 else (still, moved)
            cut = a[:, :, None] @ x[:, None] @ b[:, :, None].mT  # (p, 9, 3, t, t)
            best, places = (_details(cut) * target[:, None]).sum((-3, -2, -1)).max(1)
            crops = torch.stack([edges[rows, places] if i == axis else crops[:, i] for i in (0, 1)], 1)
    return best


def _details(y: Float32[Tensor, "*k c t t"]) -> Float32[Tensor, "*k c t t"]:
    """y less its blur, of length 1 over channels and pixels, or shorter where faint."""
    y = y - _blur() @ y @ _blur().T
    return y / y.square().sum((-3, -2, -1), keepdim=True).sqrt().clamp(min=_FAINT)


@cache
def _crops() -> Float32[Tensor, "k 2 2"]:
    """The edges of rows and of columns of each crop of the first look; first those of the whole."""
    crops = []
    for share, places in _LOOKS:
        starts = torch.linspace(0, 1 - share, places)
        edges = torch.stack([starts, starts + share], 1)
        crops.append(torch.stack([edges.repeat_interleave(places, 0), edges.repeat(places, 1)], 1))
    return torch.cat(crops)


@cache
def _blur() -> Float32[Tensor, "t t"]:
    """Row i: the mean of the pixels within 2 px of i."""
    places = torch.arange(_SMALL)
    near = ((places[:, None] - places).abs() <= _BLUR // 2).float()
    return near / near.sum(1, keepdim=True)
