"""Small pictures for the report."""

import numpy as np
import torch
from jaxtyping import Integer, UInt8

from twofold.data import ImageSet
from twofold.views import center_view

THUMB_PX = 64
_BLOCK = 256


def build_thumbs(
    images: ImageSet, rows: Integer[np.ndarray, " m"], *, side_px: int, crop_fraction: float
) -> UInt8[np.ndarray, "m {side_px} {side_px} 3"]:
    """The central square of each row's picture, `crop_fraction` in (0, 1] of its short side; grey as 3 equal channels.

    Memory holds 256 pictures at a time.
    """
    thumbs = np.zeros((len(rows), side_px, side_px, 3), np.uint8)
    for first in range(0, len(rows), _BLOCK):
        part = slice(first, first + _BLOCK)
        batch = images.read(rows[part])
        shown = center_view(batch.images, batch.sizes, size_px=side_px, crop_fraction=crop_fraction)
        thumbs[part] = (shown * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return thumbs
