"""Blur, Sobel, noise and cutout: pure functions of whole batches.

Legend: n images, c channels, h x w pixels.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from twofold.views.ops.geometry import two_sided

_WORD = 0xFFFFFFFF
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


def sobel(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Edges of each channel: sqrt((gx^2 + gy^2) / 2), gx and gy by Sobel's kernels / 4; borders reflected."""
    padded = functional.pad(images, (1, 1, 1, 1), mode="reflect")
    down = (padded[:, :, :-2] + padded[:, :, 2:]).add_(padded[:, :, 1:-1], alpha=2).div_(4)
    gx = down[..., 2:] - down[..., :-2]
    right = (padded[..., :-2] + padded[..., 2:]).add_(padded[..., 1:-1], alpha=2).div_(4)
    gy = right[:, :, 2:] - right[:, :, :-2]
    return gx.square_().add_(gy.square_()).div_(2).sqrt_().clamp_(max=1)


def noise(
    images: Float[Tensor, "n c h w"], sigma: Float[Tensor, "n"], seed: Float[Tensor, "n"]
) -> Float[Tensor, "n c h w"]:
    """x + sigma * field(seed), clamped to [0, 1]; the field is standard normal and a pure function of its seed."""
    field = normal_field(seed, math.prod(images.shape[1:])).view_as(images)
    return field.mul_(sigma[:, None, None, None]).add_(images).clamp_(0, 1)


def normal_field(seed: Float[Tensor, "n"], count: int) -> Float[Tensor, "n {count}"]:
    """`count` standard normal numbers for each whole-number seed in [0, 2**24): hashed counters, then Box-Muller.

    Number i does not depend on the batch, on `count` or on the device (up to the last bits of log and cos).
    """
    counter = torch.arange(count, device=seed.device)
    key = _mix(seed.long() + 0x9E3779B9)[:, None]
    first = _mix(_mix(counter) ^ key)
    second = _mix(first + 0x6A09E667)
    radius = _unit(first).log_().mul_(-2).clamp_(min=0).sqrt_()
    return radius.mul_(_unit(second).mul_(2 * math.pi).cos_())


def cutout(
    images: Float[Tensor, "n c h w"], area: Float[Tensor, "n"], position: Float[Tensor, "n 2"]
) -> Float[Tensor, "n c h w"]:
    """A square of zeros over `area`, a fraction of the image, wholly inside it; `position` (down, right) in [0, 1)."""
    h, w = images.shape[2:]
    side = (area * (h * w)).sqrt().round().clamp(max=min(h, w))
    top = (position[:, 0] * (h - side + 1)).floor()[:, None]
    left = (position[:, 1] * (w - side + 1)).floor()[:, None]
    y = torch.arange(h, device=images.device)
    x = torch.arange(w, device=images.device)
    in_rows = (y >= top) & (y < top + side[:, None])
    in_columns = (x >= left) & (x < left + side[:, None])
    return images.masked_fill((in_rows[:, :, None] & in_columns[:, None, :])[:, None], 0.0)


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


def _mix(word: Tensor) -> Tensor:
    """A 32-bit integer hash held in int64 (its products wrap, their low words stay right)."""
    word = (word ^ (word >> 16)) * 0x7FEB352D & _WORD
    word = (word ^ (word >> 15)) * 0x846CA68B & _WORD
    return word ^ (word >> 16)


def _unit(word: Tensor) -> Tensor:
    return (word >> 8).to(torch.float32).add_(0.5).div_(2**24)
