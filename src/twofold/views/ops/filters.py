"""Sobel, noise and cutout: pure functions of whole batches.

Legend: n images, c channels, h x w pixels.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

_WORD = 0xFFFFFFFF


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


def _mix(word: Tensor) -> Tensor:
    """A 32-bit integer hash held in int64 (its products wrap, their low words stay right)."""
    word = (word ^ (word >> 16)) * 0x7FEB352D & _WORD
    word = (word ^ (word >> 15)) * 0x846CA68B & _WORD
    return word ^ (word >> 16)


def _unit(word: Tensor) -> Tensor:
    return (word >> 8).to(torch.float32).add_(0.5).div_(2**24)
