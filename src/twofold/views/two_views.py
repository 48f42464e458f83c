"""Every image becomes two views.

Legend: n images, 2n views, c channels, H x W pixels of a canvas, s = size_px, the side of a view in pixels.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from twofold.views.apply import apply, apply_in_place
from twofold.views.ops import geometry
from twofold.views.packed import framing, pack
from twofold.views.sample import Draw
from twofold.views.uniform import uniform_views

_CACHED_ELEMENTS = 2**20  # pixels handled at once: enough to keep a CPU busy, few enough for its cache


def two_views(
    images: UInt8[Tensor, "n c H W"],
    sizes: Int64[Tensor, "n 2"],
    draws: Sequence[Draw],
    *,
    size_px: int,
    interpolation: str,
    compiled: bool = False,
) -> Float[Tensor, "2*n c {size_px} {size_px}"]:
    """Both views of every image: float32 in [0, 1], all a, then all b; a pure function without gradients.

    `sizes` holds (height, width) of each picture, which lies at the top left of its canvas; the rest is never read.
    `draws` is what `sample_views` drew for these images. Where no crop acts, the view shows the central square.
    On a device the ops may be `compiled`; the first call then takes long.
    """
    n, c = images.shape[:2]
    if geometry.on_device(images):
        return _on_device(images, sizes.repeat(2, 1), draws, size_px, interpolation, compiled)
    views = torch.empty(2 * n, c, size_px, size_px)
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
    if geometry.on_device(images):
        return _on_device(images, sizes, draws, size_px, interpolation)
    views = torch.empty(len(images), images.shape[1], size_px, size_px)
    _fill(views, images, sizes, draws, interpolation)
    return views


def _on_device(
    images: Tensor, sizes: Tensor, draws: Sequence[Draw], size_px: int, interpolation: str, compiled: bool = False
) -> Tensor:
    """One copy of what was drawn, and then nothing that the host would wait for; `sizes` has a row for each view."""
    packed = pack(draws, sizes.cpu(), size_px=size_px).to(images.device)
    return uniform_views(images, packed, size_px=size_px, interpolation=interpolation, compiled=compiled)


def _fill(views: Tensor, images: Tensor, sizes: Tensor, draws: Sequence[Draw], interpolation: str) -> None:
    """On a CPU, one view of each image into `views`: some images at a time, or one where that is faster."""
    size_px = views.shape[3]
    with torch.no_grad(), torch.autocast("cpu", enabled=False):
        if size_px >= geometry.LARGE_PX:
            _one_by_one(views, images, sizes, draws, interpolation)
            return
        chunk = _chunk_images(images, size_px)
        for start in range(0, len(images), chunk):
            part = slice(start, start + chunk)
            drawn = [Draw(draw.op, draw.active[part], draw.values[part]) for draw in draws]
            views[part] = _views(images[part], sizes[part], drawn, size_px=size_px, interpolation=interpolation)


def _one_by_one(views: Tensor, images: Tensor, sizes: Tensor, draws: Sequence[Draw], interpolation: str) -> None:
    """Each view from crop to last op before the next: a large one then stays in the processor's cache."""
    boxes, flipped, draws = framing(draws, sizes)
    acting = [(draw, draw.active.tolist()) for draw in draws]
    mirrored = [False] * len(images) if flipped is None else flipped.tolist()
    for row, box in enumerate(boxes.tolist()):
        view = views[row : row + 1]
        geometry.crop_into(view[0], images[row], box, interpolation=interpolation, flipped=mirrored[row])
        for draw, active in acting:
            if active[row]:
                apply_in_place(draw, row, view, interpolation)


def _chunk_images(images: Tensor, size_px: int) -> int:
    elements = images.shape[1] * max(size_px**2, images.shape[2] * images.shape[3])
    return max(1, _CACHED_ELEMENTS // elements)


def _views(images: Tensor, sizes: Tensor, draws: Sequence[Draw], *, size_px: int, interpolation: str) -> Tensor:
    """One view of each image."""
    boxes, flipped, draws = framing(draws, sizes)
    views = geometry.crop(images, boxes, size_px=size_px, interpolation=interpolation, flipped=flipped)
    for draw in draws:
        views = apply(draw, views, interpolation)
    return views
