"""Colour ops: pure functions (images, one parameter an image) -> images, all in [0, 1], as torchvision defines them.

Legend: n images, c = 1 or 3 channels, h x w pixels. Grey images pass saturation, hue and grayscale unchanged.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

LUMA = (0.2989, 0.587, 0.114)  # ITU-R 601, as in torchvision and in the official code
JITTER_IDENTITY = (1.0, 1.0, 1.0, 0.0)  # brightness, contrast, saturation, hue


def brightness(images: Float[Tensor, "n c h w"], factor: Float[Tensor, "n"]) -> Float[Tensor, "n c h w"]:
    """factor * x, clamped; factor >= 0."""
    return _brighten(images.clone(), factor)


def contrast(images: Float[Tensor, "n c h w"], factor: Float[Tensor, "n"]) -> Float[Tensor, "n c h w"]:
    """factor * x + (1 - factor) * (mean of the image's luma), clamped; factor >= 0."""
    return _change_contrast(images.clone(), factor)


def saturation(images: Float[Tensor, "n c h w"], factor: Float[Tensor, "n"]) -> Float[Tensor, "n c h w"]:
    """factor * x + (1 - factor) * luma, clamped; factor >= 0."""
    return _saturate(images.clone(), factor)


def hue(images: Float[Tensor, "n c h w"], shift: Float[Tensor, "n"]) -> Float[Tensor, "n c h w"]:
    """The hue of HSV moved round the circle by `shift` turns, in [-1/2, 1/2].

    On the hexagon the angle from red, in sixths, is d = 1 + (g + b - r - min) / (max - min), below zero where g < b;
    and channel x is min + (max - min) * clamp(2 - |angle - angle of x|, 0, 1). No sectors, no branches.
    """
    return _shift_hue(images.clone(), shift)


def luma(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1 h w"]:
    """0.2989 red + 0.587 green + 0.114 blue; a grey image is its own."""
    if images.shape[1] == 1:
        return images
    r, g, b = images[:, 0:1], images[:, 1:2], images[:, 2:3]
    return (r * LUMA[0]).add_(g, alpha=LUMA[1]).add_(b, alpha=LUMA[2])


def grayscale(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Luma in every channel."""
    return luma(images).expand_as(images).clone(memory_format=torch.contiguous_format)


def solarise(images: Float[Tensor, "n c h w"], threshold: Float[Tensor, "n"]) -> Float[Tensor, "n c h w"]:
    """1 - x where x >= threshold, else x."""
    return torch.where(images >= _wide(threshold), 1 - images, images)


def jitter(
    images: Float[Tensor, "n c h w"], factors: Float[Tensor, "n 4"], order: Float[Tensor, "n 4"]
) -> Float[Tensor, "n c h w"]:
    """Brightness, contrast, saturation (factors >= 0) and hue (shift in turns), in each image's own order.

    `order` holds a permutation of 0..3 for each image: which of the four comes first, second, third and last. The
    image is clamped after each. `factors` and `order` are best left on the CPU, where the rows due are worked out.
    """
    factors, order = factors.cpu(), order.cpu().long()
    due = factors != factors.new_tensor(JITTER_IDENTITY)
    jittered = images
    place = torch.arange(len(images))  # which image each row of `jittered` holds
    for position in range(4):
        # rows due for the same op are brought together, so that it works on a slice, in place
        op = torch.where(due.gather(1, order)[:, position], order[:, position], 4)
        rows = op[place].argsort(stable=True)
        jittered, place = jittered.index_select(0, rows.to(images.device)), place[rows]
        start = 0
        for index, count in enumerate(op.bincount(minlength=4)[:4].tolist()):
            if count:
                group = slice(start, start + count)
                _JITTER[index](jittered[group], factors[place[group], index].to(images.device))
            start += count
    return jittered.index_select(0, place.argsort().to(images.device))


def jitter_in_place(
    image: Float[Tensor, "1 c h w"], factors: Float[Tensor, "4"], order: Float[Tensor, "4"]
) -> Float[Tensor, "1 c h w"]:
    """`jitter` of one image on the CPU, which it overwrites."""
    for index in order.long().tolist():
        _JITTER[index](image, factors[index : index + 1])
    return image


def _brighten(images: Tensor, factor: Tensor) -> Tensor:
    return images.mul_(_wide(factor)).clamp_(0, 1)


def _change_contrast(images: Tensor, factor: Tensor) -> Tensor:
    means = images.mean(dim=(2, 3))
    pivot = means @ means.new_tensor(LUMA) if images.shape[1] == 3 else means[:, 0]
    return images.mul_(_wide(factor)).add_(_wide(pivot * (1 - factor))).clamp_(0, 1)


def _saturate(images: Tensor, factor: Tensor) -> Tensor:
    if images.shape[1] == 1:
        return images
    pivot = luma(images).mul_(_wide(1 - factor))
    return images.mul_(_wide(factor)).add_(pivot).clamp_(0, 1)


def _shift_hue(images: Tensor, shift: Tensor) -> Tensor:
    if images.shape[1] == 1:
        return images
    r, g, b = images.unbind(dim=1)
    low = torch.minimum(torch.minimum(r, g), b)
    chroma = torch.maximum(torch.maximum(r, g), b).sub_(low)
    angle = (g - r).add_(b).sub_(low).div_(chroma.clamp(min=1e-30)).add_(1)
    angle.copysign_(g - b).add_(6 * shift[:, None, None])
    angle.sub_((angle / 6).floor_(), alpha=6)  # into [0, 6]
    torch.sub(angle, 3, out=r).abs_().sub_(1)
    torch.sub(angle, 2, out=g).abs_().neg_().add_(2)
    torch.sub(angle, 4, out=b).abs_().neg_().add_(2)
    return images.clamp_(0, 1).mul_(chroma[:, None]).add_(low[:, None])


_JITTER: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (_brighten, _change_contrast, _saturate, _shift_hue)


def _wide(parameter: Tensor) -> Tensor:
    return parameter[:, None, None, None]
