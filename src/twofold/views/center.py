"""The one view of an image that embedding and evaluation see."""

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from twofold.views.boxes import central_boxes
from twofold.views.ops.crop import crop


def center_view(
    images: UInt8[Tensor, "n c H W"],
    sizes: Int64[Tensor, "n 2"],
    *,
    size_px: int,
    crop_fraction: float,
    interpolation: str = "bicubic",
) -> Float[Tensor, "n c {size_px} {size_px}"]:
    """The central square, `crop_fraction` in (0, 1] of the short side, resized antialiased: float32 in [0, 1].

    `sizes` holds (height, width) of each image, at the top left of its canvas. Returns images / 255 where images
    are size_px x size_px and the fraction is 1 (reference 1.2).
    """
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        boxes = central_boxes(sizes, crop_fraction)
        return crop(images, boxes, size_px=size_px, interpolation=interpolation)
