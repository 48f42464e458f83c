"""Gaussian blur: a pure function of whole batches.

Legend: n images, c channels, h x w pixels.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from twofold.views.ops.crop import two_sided

_LARGE_PX = 96  # from this size on a blur on a CPU goes block by block
_BLOCK_PX = 16
_kept: dict[tuple[int, int, str], Tensor] = {}  # made once: ten small steps on a GPU


def blur_taps(size_px: int) -> int:
    """Taps of the blur's kernel: size_px // 10 made odd, at least 3 (reference 1.1: 224 px -> 23 taps)."""
    return max(3, 2 * (size_px // 10 // 2) + 1)


def blur(images: Float[Tensor, "n c h w"], sigma: Float[Tensor, "n"]) -> Float[Tensor, "n c h w"]:
    """Gaussian blur with each image's own sigma, in pixels; `blur_taps(w)` taps, separable.

    Borders are reflected, as in torchvision; the official code pads with zeros, which darkens them. sigma = 0
    returns the image.
    """
    h, w = images.shape[2:]
    taps = blur_taps(w)
    x = torch.arange(taps, device=images.device) - taps // 2
    weights = torch.exp(-0.5 * (x / sigma[:, None].clamp(min=1e-6)) ** 2)
    weights *= weights > 1e-8  # below the rounding of the sum; products with denormal numbers are many times slower
    weights /= weights.sum(dim=1, keepdim=True)
    if w >= _LARGE_PX and images.device.type == "cpu":
        weights = weights[:, weights.amax(dim=0) > 0]
        return _blur_in_blocks(images, weights).clamp_(0, 1)
    return two_sided(band(weights, h), images, band(weights, w)).clamp_(0, 1)


def band(weights: Float[Tensor, "n taps"], size: int) -> Float[Tensor, "n {size} {size}"]:
    """The matrices that apply kernels along a line with reflected ends."""
    taps = weights.shape[1]
    source = _sources(size, taps, weights.device)
    shape = (len(weights), size, taps)
    empty = weights.new_zeros(len(weights), size, size)
    return empty.scatter_add_(2, source.expand(shape), weights[:, None].expand(shape))


def _sources(size: int, taps: int, device: torch.device) -> Tensor:
    """(size, taps): the pixel of a line of `size` that each tap of a kernel at each pixel meets."""
    if torch.compiler.is_compiling():
        return _reflected(size, taps, device)
    key = size, taps, str(device)
    if key not in _kept:
        _kept[key] = _reflected(size, taps, device)
    return _kept[key]


def _reflected(size: int, taps: int, device: torch.device) -> Tensor:
    line = torch.arange(size, device=device)
    source = (line[:, None] + torch.arange(taps, device=device) - taps // 2).abs()
    return torch.minimum(source, 2 * (size - 1) - source)


def _blur_in_blocks(images: Tensor, weights: Tensor) -> Tensor:
    """The same blur as short products: a block of b pixels of a line depends on b + taps - 1 of them alone."""
    h, w = images.shape[2:]
    taps = weights.shape[1]
    span, b = _BLOCK_PX + taps - 1, _BLOCK_PX
    place = torch.arange(b)[:, None] + torch.arange(taps)
    kernels = weights.new_zeros(len(weights), b, span)
    kernels.scatter_(2, place.expand(len(weights), -1, -1), weights[:, None].expand(-1, b, -1))
    padded = functional.pad(images, (taps // 2,) * 4, mode="reflect")
    if w % b or h % b:  # to whole blocks; what they add is cut off again
        padded = functional.pad(padded, (0, -w % b, 0, -h % b))
    blurred = torch.empty_like(images)
    for image, kernel, out in zip(padded, kernels, blurred, strict=True):
        down = (kernel @ image.unfold(1, span, b).transpose(2, 3)).flatten(1, 2)
        blocks = down.unfold(2, span, b)
        out.copy_((blocks.reshape(-1, span) @ kernel.T).view(*down.shape[:2], -1)[:, :h, :w])
    return blurred
