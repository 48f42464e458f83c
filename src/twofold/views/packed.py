"""All that was drawn for a batch as one tensor, so that one copy brings it to a device.

Legend: m views, s = size_px, the side of a view in pixels; columns of a row, in this order:

    frame      10   the image's box and flip, as `resize_lines` puts them
    and for each further op, the numbers that change nothing where it does not act:
    jitter     19   shift of hue in sixths of a turn; (x, mean, luma) for three steps before it and three after it
    blur        1   -1 / (2 sigma^2), sigma in pixels (-1e12)
    cutout      3   area fraction (0), position down and right
    noise       2   standard deviation (0), seed of the field
    rotate      1   quarter turns (0)
    rotate-degrees  1   degrees (0)
    solarise    1   threshold (infinity)
    crop       10   box of the view (all of it), as `resize_lines` puts it
    channel-jitter  96   gain (1), offset (0) and gamma (1), each of 32 channels
    channel-drop    1   which channel, as a share of all (-1)
    flip, vertical-flip, grayscale, sobel   1   whether it acts
    an augmentation of the user's own   1   whether it acts; what it drew goes to the device by itself
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from twofold.views.augmentations import BUILT_IN, Own, Values, build_own, on_each
from twofold.views.boxes import central_boxes, crop_boxes
from twofold.views.ops.crop import LINE, resize_lines, sent
from twofold.views.sample import Draw

FRAME = 2 * LINE


class OwnDraw(NamedTuple):
    """What was drawn for an augmentation of the user's own."""

    augmentation: Own
    values: Values


@dataclass(frozen=True)
class Packed:
    """What `two_views` needs to know of m views: a tensor, and the ops that its columns belong to."""

    ops: tuple[str, ...]  # after crop and flip at the front, which the frame holds, in order
    widths: tuple[int, ...]  # how many columns each of them has
    columns: Float[Tensor, "m k"]
    own: dict[int, OwnDraw] = field(default_factory=dict)  # by their place in `ops`

    def to(self, device: torch.device) -> "Packed":
        """On the device."""
        own = {
            place: OwnDraw(augmentation, on_each(values, partial(sent, device=device)))
            for place, (augmentation, values) in self.own.items()
        }
        return Packed(self.ops, self.widths, sent(self.columns, device), own)

    def frame(self) -> Float[Tensor, "m 10"]:
        """Where each view lies in its image."""
        return self.columns[:, :FRAME]

    def each(self) -> list[tuple[str, Float[Tensor, "m k"]]]:
        """The further ops, each with its columns."""
        return list(zip(self.ops, self.columns[:, FRAME:].split(self.widths, dim=1), strict=True))


def pack(draws: Sequence[Draw], sizes: Int64[Tensor, "m 2"], *, size_px: int) -> Packed:
    """The draws of m views in one tensor on the CPU.

    `sizes` holds (height, width) of the image that each view is made of. Where no crop acts, its box is the central
    square.
    """
    boxes, flipped, rest = framing(draws, sizes)
    parts = list(resize_lines(boxes, size_px=size_px, flipped=flipped))
    own: dict[int, OwnDraw] = {}
    for place, draw in enumerate(rest):
        if draw.op.own:
            own[place] = OwnDraw(build_own(draw.op), draw.values)
            parts.append(draw.active.float()[:, None])
        else:
            parts.append(BUILT_IN[draw.op.name].columns(draw.active, draw.values, size_px))
    widths = tuple(part.shape[1] for part in parts[2:])
    return Packed(tuple(draw.op.name for draw in rest), widths, torch.cat(parts, dim=1), own)


def framing(
    draws: Sequence[Draw], sizes: Int64[Tensor, "m 2"]
) -> tuple[Int64[Tensor, "m 4"], Bool[Tensor, "m"] | None, list[Draw]]:
    """The box of each view, which of them are flipped (None: none), and the draws left after crop and flip."""
    rest = list(draws)
    crop = rest.pop(0) if rest and rest[0].op.name == "crop" else None
    if crop is None:
        boxes = central_boxes(sizes)
    else:
        boxes = crop_boxes(crop.values, sizes)
        if not crop.active.all():
            boxes = torch.where(crop.active[:, None], boxes, central_boxes(sizes))
    flipped = rest.pop(0).active if rest and rest[0].op.name == "flip" else None
    return boxes, flipped, rest
