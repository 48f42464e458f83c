"""Ops as a device does them: no shape and no branch depends on what was drawn.

Legend: m images, c channels, s x s pixels. The columns are what the ops' `columns` give.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from twofold.views.ops import blur as separate
from twofold.views.ops import colour


def jitter(images: Float[Tensor, "m c s s"], columns: Float[Tensor, "m 19"]) -> Float[Tensor, "m c s s"]:
    """`colour.jitter`: three steps of brightness, contrast or saturation, hue, and three more."""
    hue, *steps = columns.split([1] + [3] * 6, dim=1)
    for step in steps[:3]:
        images = move_to_pivot(images, step)
    if images.shape[1] > 1:
        images = torch.where(wide(hue) != 0, shift_hue(images, wide(hue)), images)
    for step in steps[3:]:
        images = move_to_pivot(images, step)
    return images


def move_to_pivot(images: Tensor, step: Tensor) -> Tensor:
    """clamp(f x + g (mean luma) + k luma): g = 1 - f changes contrast, k = 1 - f saturation, neither brightness."""
    f, g, k = (wide(column) for column in step.split(1, dim=1))
    luma = colour.luma(images)
    pivot = torch.addcmul(luma.mean(dim=(2, 3), keepdim=True) * g, luma, k)
    return torch.addcmul(pivot, images, f).clamp_(0, 1)


def shift_hue(images: Tensor, sixths: Tensor) -> Tensor:
    """`colour.hue`: of (r, g, b) each is max - (max - min) clamp(min(k, 4 - k), 0, 1), k = (5, 3, 1) + angle mod 6."""
    r, g, b = images.split(1, dim=1)
    low, high = images.amin(dim=1, keepdim=True), images.amax(dim=1, keepdim=True)
    chroma = high - low
    angle = (g - r).add_(b).sub_(low).div_(chroma.clamp(min=1e-30)).add_(1).copysign_(g - b).add_(sixths)
    k = (angle + torch.arange(5, 0, -2, device=images.device)[:, None, None]).remainder_(6)
    return torch.addcmul(high, chroma, torch.minimum(k, 4 - k).clamp_(0, 1), value=-1)


def blur(images: Float[Tensor, "m c s s"], exponent: Float[Tensor, "m 1"]) -> Float[Tensor, "m c s s"]:
    """`ops.blur.blur`, exponent = -1 / (2 sigma^2): the same band down and across, both as products from the right."""
    m, c, s, _ = images.shape
    taps = separate.blur_taps(s)
    weights = torch.exp(exponent * torch.arange(-(taps // 2), taps // 2 + 1, device=images.device).square())
    band = separate.band(weights / weights.sum(dim=1, keepdim=True), s).transpose(1, 2)
    across = torch.bmm(images.reshape(m, c * s, s), band).view(m, c, s, s)
    both = torch.bmm(across.transpose(2, 3).reshape(m, c * s, s), band).view(m, c, s, s)
    return both.transpose(2, 3).clamp(0, 1)


def wide(column: Float[Tensor, "m 1"]) -> Float[Tensor, "m 1 1 1"]:
    """A number for each image, to go with its pixels."""
    return column[:, :, None, None]
