"""All that was drawn for a batch as one tensor, so that one copy brings it to a device.

Legend: m views, s = size_px, the side of a view in pixels; columns of a row, in this order:

    frame      10   the picture's box and flip, as `resize_lines` puts them
    and for each further op, the numbers that change nothing where it does not act:
    jitter     19   shift of hue in sixths of a turn; (x, mean, luma) for three steps before it and three after it
    blur        1   -1 / (2 sigma^2), sigma in pixels (-1e12)
    cutout      3   area fraction (0), position down and right
    noise       2   standard deviation (0), seed of the field
    rotate      1   quarter turns (0)
    solarise    1   threshold (infinity)
    crop       10   box of the view (all of it), as `resize_lines` puts it
    flip, grayscale, sobel   1   whether it acts
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from twofold.views.boxes import central_boxes, crop_boxes
from twofold.views.ops.geometry import LINE, resize_lines, sent
from twofold.views.sample import Draw

FRAME = 2 * LINE
_SHARP = 1e12  # a kernel of one tap
_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE = range(4)


@dataclass(frozen=True)
class Packed:
    """What `two_views` needs to know of m views: a tensor, and the ops that its columns belong to."""

    ops: tuple[str, ...]  # after crop and flip at the front, which the frame holds, in order
    widths: tuple[int, ...]  # how many columns each of them has
    columns: Float[Tensor, "m k"]

    def to(self, device: torch.device) -> "Packed":
        """On the device."""
        return Packed(self.ops, self.widths, sent(self.columns, device))

    def frame(self) -> Float[Tensor, "m 10"]:
        """Where each view lies in its picture."""
        return self.columns[:, :FRAME]

    def each(self) -> list[tuple[str, Float[Tensor, "m k"]]]:
        """The further ops, each with its columns."""
        return list(zip(self.ops, self.columns[:, FRAME:].split(self.widths, dim=1), strict=True))


def pack(draws: Sequence[Draw], sizes: Int64[Tensor, "m 2"], *, size_px: int) -> Packed:
    """The draws of m views in one tensor on the CPU.

    `sizes` holds (height, width) of the picture that each view is made of. Where no crop acts, its box is the central
    square.
    """
    boxes, flipped, rest = framing(draws, sizes)
    parts = list(resize_lines(boxes, size_px=size_px, flipped=flipped))
    parts += [_COLUMNS[draw.op.name](draw, size_px) for draw in rest]
    widths = tuple(part.shape[1] for part in parts[2:])
    return Packed(tuple(draw.op.name for draw in rest), widths, torch.cat(parts, dim=1))


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


def _acts(draw: Draw, _size_px: int) -> Tensor:
    return draw.active.float()[:, None]


def _or(neutral: float) -> Callable[[Draw, int], Tensor]:
    """The op's own numbers, the first of them `neutral` where it does not act."""

    def columns(draw: Draw, _size_px: int) -> Tensor:
        values = draw.values.clone()
        values[:, 0].masked_fill_(~draw.active, neutral)
        return values

    return columns


def _box(draw: Draw, size_px: int) -> Tensor:
    whole = torch.full((len(draw.values), 2), size_px)
    every = torch.tensor([0, 0, size_px, size_px])
    boxes = torch.where(draw.active[:, None], crop_boxes(draw.values, whole), every)
    return torch.cat(resize_lines(boxes, size_px=size_px), dim=1)


def _blur(draw: Draw, _size_px: int) -> Tensor:
    return torch.where(draw.active[:, None], -0.5 / draw.values.clamp(min=1e-6) ** 2, -_SHARP).clamp(min=-_SHARP)


def _jitter(draw: Draw, _size_px: int) -> Tensor:
    """Each of brightness, contrast and saturation is clamp(x + (1 - f) (pivot - x)), its pivot 0, mean luma or luma.

    An image's hue comes at one of four places, so its order is at most three such steps, hue, and three more; the steps
    that it has not got have f = 1.
    """
    order = draw.values[:, 4:].long()
    place = torch.arange(4)
    hue_at = (order == _HUE).long() @ place
    due = torch.stack([place[:-1] < hue_at[:, None], place[1:] > hue_at[:, None]], dim=1) & draw.active[:, None, None]
    op = torch.stack([order[:, :-1], order[:, 1:]], dim=1)  # (m, 2, 3): before the change of hue, and after it
    factor = torch.where(due, draw.values[:, :4].gather(1, op.flatten(1)).view(op.shape), 1.0)
    rest = 1 - factor
    steps = torch.stack([factor, rest * (op == _CONTRAST), rest * (op == _SATURATION)], dim=3)
    hue = 6 * draw.values[:, _HUE] * draw.active
    return torch.cat([hue[:, None], steps.flatten(1)], dim=1)


_COLUMNS: dict[str, Callable[[Draw, int], Tensor]] = {
    "crop": _box,
    "flip": _acts,
    "jitter": _jitter,
    "grayscale": _acts,
    "blur": _blur,
    "cutout": _or(0.0),
    "sobel": _acts,
    "noise": _or(0.0),
    "rotate": _or(0.0),
    "solarise": _or(float("inf")),
}
