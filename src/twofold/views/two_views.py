"""Every image becomes two views.

Legend: n images, 2n views, c channels, H x W pixels of a canvas, s = size_px, the side of a view in pixels.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from twofold.views import colour, filters, geometry
from twofold.views.boxes import central_boxes, crop_boxes
from twofold.views.sample import Draw

_CACHED_ELEMENTS = 2**20  # pixels handled at once on a CPU: enough to keep it busy, few enough for its cache
_DEVICE_ELEMENTS = 2**26  # the same elsewhere: bounds the memory


def two_views(
    images: UInt8[Tensor, "n c H W"],
    sizes: Int64[Tensor, "n 2"],
    draws: Sequence[Draw],
    *,
    size_px: int,
    interpolation: str,
) -> Float[Tensor, "2*n c {size_px} {size_px}"]:
    """Both views of every image: float32 in [0, 1], all a, then all b; a pure function without gradients.

    `sizes` holds (height, width) of each picture, which lies at the top left of its canvas; the rest is never read.
    `draws` is what `sample_views` drew for these images. Where no crop acts, the view shows the central square.
    """
    n, c = images.shape[:2]
    views = torch.empty(2 * n, c, size_px, size_px, device=images.device)
    for rows in (slice(0, n), slice(n, 2 * n)):
        drawn = [Draw(draw.op, draw.active[rows], draw.values[rows]) for draw in draws]
        _fill(views[rows], images, sizes, drawn, interpolation)
    return views


def one_view(
    images: UInt8[Tensor, "n c H W"],
    sizes: Int64[Tensor, "n 2"],
    draws: Sequence[Draw],
    *,
    size_px: int,
    interpolation: str,
) -> Float[Tensor, "n c {size_px} {size_px}"]:
    """A single random view of every image, as `two_views` makes each of its two; `draws` is from `sample_rows`."""
    views = torch.empty(len(images), images.shape[1], size_px, size_px, device=images.device)
    _fill(views, images, sizes, draws, interpolation)
    return views


def _fill(views: Tensor, images: Tensor, sizes: Tensor, draws: Sequence[Draw], interpolation: str) -> None:
    """One view of each image into `views`, some images at a time."""
    size_px = views.shape[3]
    chunk = _chunk_images(images, size_px)
    sizes = sizes.cpu()
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        for start in range(0, len(images), chunk):
            part = slice(start, start + chunk)
            drawn = [Draw(draw.op, draw.active[part], draw.values[part]) for draw in draws]
            views[part] = _views(images[part], sizes[part], drawn, size_px=size_px, interpolation=interpolation)


def _chunk_images(images: Tensor, size_px: int) -> int:
    elements = images.shape[1] * max(size_px**2, images.shape[2] * images.shape[3])
    return max(1, (_CACHED_ELEMENTS if images.device.type == "cpu" else _DEVICE_ELEMENTS) // elements)


def _views(images: Tensor, sizes: Tensor, draws: list[Draw], *, size_px: int, interpolation: str) -> Tensor:
    """One view of each image."""
    boxes = central_boxes(sizes)
    if draws and draws[0].op.name == "crop":
        crop = draws.pop(0)
        boxes = torch.where(crop.active[:, None], crop_boxes(crop.values, sizes), boxes)
    flipped = draws.pop(0).active if draws and draws[0].op.name == "flip" else None
    views = geometry.crop(images, boxes, size_px=size_px, interpolation=interpolation, flipped=flipped)
    for draw in draws:
        views = _apply(draw, views, interpolation)
    return views


def _apply(draw: Draw, views: Tensor, interpolation: str) -> Tensor:
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
