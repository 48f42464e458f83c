"""Ops on each channel by itself: pure functions of images in [0, 1] and numbers.

Legend: n images, c channels, h x w pixels.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def adjust(
    images: Float[Tensor, "n c h w"],
    gain: Float[Tensor, "n c"],
    offset: Float[Tensor, "n c"],
    gamma: Float[Tensor, "n c"],
) -> Float[Tensor, "n c h w"]:
    """gain x^gamma + offset, clamped; gain at least 0, gamma above 0."""
    return (images ** _wide(gamma)).mul_(_wide(gain)).add_(_wide(offset)).clamp_(0, 1)


def drop(images: Float[Tensor, "n c h w"], place: Float[Tensor, "n"]) -> Float[Tensor, "n c h w"]:
    """Channel floor(c * place) is zero, `place` in [0, 1); below 0, or where there is one channel, nothing changes."""
    c = images.shape[1]
    if c == 1:
        return images
    dropped = torch.arange(c, device=images.device) == (place * c).floor()[:, None]
    return torch.where(dropped[:, :, None, None], 0.0, images)


def _wide(parameter: Tensor) -> Tensor:
    return parameter[:, :, None, None]
