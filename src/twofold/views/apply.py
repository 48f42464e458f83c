"""One drawn op on the views in which it acts."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from twofold.views.boxes import crop_boxes
from twofold.views.ops import colour, filters, geometry
from twofold.views.sample import Draw


def apply(draw: Draw, views: Tensor, interpolation: str) -> Tensor:
    """One op on the rows where it is active; may change `views` in place."""
    rows = draw.active.nonzero()[:, 0]
    if len(rows) == 0:
        return views
    if draw.op.name == "jitter":  # in most rows: the others pass through it with parameters that change nothing
        identity = draw.values.new_tensor(colour.JITTER_IDENTITY)
        return colour.jitter(views, torch.where(draw.active[:, None], draw.values[:, :4], identity), draw.values[:, 4:])
    op = partial(_crop_again, interpolation=interpolation) if draw.op.name == "crop" else _OPS[draw.op.name]
    values = draw.values[rows]
    if len(rows) == len(views):
        return op(views, values)
    rows = rows.to(views.device)
    return views.index_copy_(0, rows, op(views.index_select(0, rows), values))


def _crop_again(views: Tensor, values: Tensor, *, interpolation: str) -> Tensor:
    """A crop that is not the first op: a box of the view, resized to the view's size."""
    size_px = views.shape[-1]
    boxes = crop_boxes(values, torch.full((len(views), 2), size_px))
    return geometry.crop(views, boxes, size_px=size_px, interpolation=interpolation)


def _column(values: Tensor, views: Tensor, column: int = 0) -> Tensor:
    return values[:, column].to(views.device)


def apply_in_place(draw: Draw, row: int, view: Tensor, interpolation: str) -> None:
    """One op with the numbers of `row` on one view (1, c, s, s) on the CPU, which it overwrites."""
    values = draw.values[row]
    if draw.op.name == "jitter":
        colour.jitter_in_place(view, values[:4], values[4:])
    elif draw.op.name == "grayscale":
        view.copy_(colour.luma(view))
    else:
        op = partial(_crop_again, interpolation=interpolation) if draw.op.name == "crop" else _OPS[draw.op.name]
        view.copy_(op(view, values[None]))


_OPS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "flip": lambda views, _: geometry.flip(views),
    "grayscale": lambda views, _: colour.grayscale(views),
    "blur": lambda views, values: filters.blur(views, _column(values, views)),
    "cutout": lambda views, values: filters.cutout(views, _column(values, views), values[:, 1:].to(views.device)),
    "sobel": lambda views, _: filters.sobel(views),
    "noise": lambda views, values: filters.noise(views, _column(values, views), _column(values, views, 1)),
    "rotate": lambda views, values: geometry.rotate(views, values[:, 0]),
    "solarise": lambda views, values: colour.solarise(views, _column(values, views)),
}
