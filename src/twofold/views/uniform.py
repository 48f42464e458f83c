"""Views of a batch in which every image takes the same way: no shape depends on what was drawn, and nothing is asked.

So the host runs ahead of a GPU, a compiler sees one graph, and a CUDA graph can hold it. An op that does not act on an
image gets the parameters that change nothing. A CPU, which waits for nothing, leaves out what is not due instead
(`two_views`); both make the same views to rounding.

Legend: n images, m views (n, or 2n: all a, then all b), c channels, H x W pixels of a canvas, s = size_px.
"""

from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from twofold.views.ops import colour, filters
from twofold.views.ops.geometry import LINE, crop_alike
from twofold.views.packed import Packed


def uniform_views(
    images: UInt8[Tensor, "n c H W"], packed: Packed, *, size_px: int, interpolation: str, compiled: bool = False
) -> Float[Tensor, "m c {size_px} {size_px}"]:
    """The views that `packed`, on the device of the images, describes: float32 in [0, 1].

    `compiled`: what comes after the first crop, whose shapes depend on the canvas, by torch.compile.
    """
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        views = _crop(images, packed.frame(), size_px, interpolation)
        change = _compiled() if compiled else _changed
        return change(views, packed.each(), size_px, interpolation)


@cache
def _compiled() -> Callable[..., Tensor]:
    return torch.compile(_changed, dynamic=False)


def _changed(views: Tensor, ops: list[tuple[str, Tensor]], size_px: int, interpolation: str) -> Tensor:
    for name, values in ops:
        views = _crop(views, values, size_px, interpolation) if name == "crop" else _OPS[name](views, values)
    return views


def _crop(images: Tensor, lines: Tensor, size_px: int, interpolation: str) -> Tensor:
    return crop_alike(images, lines[:, :LINE], lines[:, LINE:], size_px=size_px, interpolation=interpolation)


def _jitter(views: Tensor, values: Tensor) -> Tensor:
    """Three steps of brightness, contrast or saturation, hue, and three more; the columns are those of `pack`."""
    hue, *steps = values.split([1] + [3] * 6, dim=1)
    for step in steps[:3]:
        views = _move_to_pivot(views, step)
    if views.shape[1] > 1:
        views = torch.where(_wide(hue) != 0, _shift_hue(views, _wide(hue)), views)
    for step in steps[3:]:
        views = _move_to_pivot(views, step)
    return views


def _move_to_pivot(views: Tensor, step: Tensor) -> Tensor:
    """clamp(f x + g (mean luma) + k luma): g = 1 - f changes contrast, k = 1 - f saturation, neither brightness."""
    f, g, k = (_wide(column) for column in step.split(1, dim=1))
    luma = colour.luma(views)
    pivot = torch.addcmul(luma.mean(dim=(2, 3), keepdim=True) * g, luma, k)
    return torch.addcmul(pivot, views, f).clamp_(0, 1)


def _shift_hue(views: Tensor, sixths: Tensor) -> Tensor:
    """`colour.hue`: of (r, g, b) each is max - (max - min) clamp(min(k, 4 - k), 0, 1), k = (5, 3, 1) + angle mod 6."""
    r, g, b = views.split(1, dim=1)
    low, high = views.amin(dim=1, keepdim=True), views.amax(dim=1, keepdim=True)
    chroma = high - low
    angle = (g - r).add_(b).sub_(low).div_(chroma.clamp(min=1e-30)).add_(1).copysign_(g - b).add_(sixths)
    k = (angle + torch.arange(5, 0, -2, device=views.device)[:, None, None]).remainder_(6)
    return torch.addcmul(high, chroma, torch.minimum(k, 4 - k).clamp_(0, 1), value=-1)


def _blur(views: Tensor, exponent: Tensor) -> Tensor:
    """`filters.blur`: the same band down and across, both as products from the right."""
    m, c, s, _ = views.shape
    taps = filters.blur_taps(s)
    weights = torch.exp(exponent * torch.arange(-(taps // 2), taps // 2 + 1, device=views.device).square())
    band = filters.band(weights / weights.sum(dim=1, keepdim=True), s).transpose(1, 2)
    across = torch.bmm(views.reshape(m, c * s, s), band).view(m, c, s, s)
    both = torch.bmm(across.transpose(2, 3).reshape(m, c * s, s), band).view(m, c, s, s)
    return both.transpose(2, 3).clamp(0, 1)


def _grayscale(views: Tensor, acts: Tensor) -> Tensor:
    return torch.where(_wide(acts) > 0, colour.luma(views), views)


def _rotate(views: Tensor, turns: Tensor) -> Tensor:
    quarter, turned = _wide(turns).round() % 4, views
    for k in (1, 2, 3):
        turned = torch.where(quarter == k, views.rot90(k, dims=(2, 3)), turned)
    return turned


def _wide(column: Tensor) -> Tensor:
    return column[:, :, None, None]


_OPS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "flip": lambda views, acts: torch.where(_wide(acts) > 0, views.flip(3), views),
    "jitter": _jitter,
    "grayscale": _grayscale,
    "blur": _blur,
    "cutout": lambda views, values: filters.cutout(views, values[:, 0], values[:, 1:]),
    "sobel": lambda views, acts: torch.where(_wide(acts) > 0, filters.sobel(views), views),
    "noise": lambda views, values: filters.noise(views, values[:, 0], values[:, 1]),
    "rotate": _rotate,
    "solarise": lambda views, threshold: colour.solarise(views, threshold[:, 0]),
}
