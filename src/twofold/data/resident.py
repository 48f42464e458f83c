"""Images that lie on the device as a whole, where each batch is gathered by its rows."""

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from twofold.data.image_set import ImageSet
from twofold.data.pixels import ImageBatch
from twofold.errors import TwofoldError, enough_memory

_MOST_OF_DEVICE = 0.4  # of its memory; training needs the rest
_AT_ONCE = 2048  # images that one copy takes there
_LEAVE_OUT = "Give --resident False: batches are then read from the host."


class ResidentImages:
    """The images of some rows, all of one size, on a device."""

    def __init__(self, images: UInt8[Tensor, "m c H W"], sizes: Int64[Tensor, "m 2"]) -> None:
        self._images, self._sizes = images, sizes

    def __len__(self) -> int:
        return len(self._images)

    @property
    def bytes(self) -> int:
        """What they take on the device."""
        return self._images.numel()

    def gather(self, places: Int64[np.ndarray, " n"]) -> ImageBatch:
        """Copies of the images at these places of the rows, on the device; the host waits for nothing."""
        index = torch.from_numpy(np.ascontiguousarray(places))
        there = index.pin_memory().to(self._images.device, non_blocking=True)
        return ImageBatch(self._images.index_select(0, there), self._sizes[index])


def place_images(
    images: ImageSet, rows: Int64[np.ndarray, " m"], device: torch.device, *, memory: int | None, asked: bool | None
) -> ResidentImages | None:
    """The images of `rows` on the device, or None where they stay on the host.

    asked: None puts them there where it is a CUDA GPU, they have one size and take less than 40 % of `memory`, the
    bytes that are free there. True asks for it: raises TwofoldError where they have several sizes,
    where `device` is no CUDA GPU, and where its memory is not enough.
    """
    sizes = images.pixels.sizes[rows]
    alike = bool((sizes == sizes[:1]).all())
    taken = int(sizes.prod(axis=1).sum()) * images.channels
    if asked:
        _require_possible(device, alike=alike)
    fits = device.type == "cuda" and alike and memory is not None and taken < _MOST_OF_DEVICE * memory
    if not (fits if asked is None else asked):
        return None
    height, width = sizes[0].tolist()
    with enough_memory(f"{len(rows):,} images of {width} x {height} px on '{device}'", _LEAVE_OUT):
        there = torch.empty((len(rows), images.channels, height, width), dtype=torch.uint8, device=device)
        for start in range(0, len(rows), _AT_ONCE):
            part = images.read(rows[start : start + _AT_ONCE], pinned=True).images
            there[start : start + len(part)].copy_(part, non_blocking=True)
    return ResidentImages(there, torch.from_numpy(sizes))


def _require_possible(device: torch.device, *, alike: bool) -> None:
    if device.type != "cuda":
        raise TwofoldError(f"resident is True, but '{device}' has no memory of its own for the images. {_LEAVE_OUT}")
    if not alike:
        raise TwofoldError(
            f"resident is True, but the images have several sizes; on the device lie only those of one. {_LEAVE_OUT}"
        )
