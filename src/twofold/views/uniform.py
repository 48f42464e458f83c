"""Views of a batch in which every image takes the same way: no shape depends on what was drawn, and nothing is asked.

So the host runs ahead of a GPU, a compiler sees one graph, and a CUDA graph can hold it. An op that does not act on an
image gets the parameters that change nothing. A CPU, which waits for nothing, leaves out what is not due instead
(`two_views`); both make the same views to rounding.

Legend: n images, m views (n, or 2n: all a, then all b), c channels, H x W pixels of a canvas, s = size_px.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from twofold.views.augmentations import BUILT_IN, Crop
from twofold.views.ops.crop import LINE, crop_alike
from twofold.views.packed import OwnDraw, Packed


def uniform_views(
    images: UInt8[Tensor, "n c H W"] | Float[Tensor, "n c H W"],
    packed: Packed,
    *,
    size_px: int,
    interpolation: str,
    compiled: bool = False,
) -> Float[Tensor, "m c {size_px} {size_px}"]:
    """The views that `packed`, on the device of the images, describes: float32 in [0, 1].

    `compiled`: what comes after the first crop, whose shapes depend on the canvas, by torch.compile; not where
    augmentations of the user's own are among it.
    """
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        views = _crop(images, packed.frame(), size_px, interpolation)
        change = _compiled() if compiled and not packed.own else _changed
        return change(views, packed.each(), interpolation, packed.own)


@cache
def _compiled() -> Callable[..., Tensor]:
    return torch.compile(_changed, dynamic=False)


def _changed(
    views: Tensor, ops: Sequence[tuple[str, Tensor]], interpolation: str, own: Mapping[int, OwnDraw]
) -> Tensor:
    for place, (name, columns) in enumerate(ops):
        if place in own:
            views = own[place].augmentation.apply_alike(views, columns, own[place].values)
        elif name == "crop":
            views = Crop.apply_alike(views, columns, interpolation)
        else:
            views = BUILT_IN[name].apply_alike(views, columns)
    return views


def _crop(images: Tensor, lines: Tensor, size_px: int, interpolation: str) -> Tensor:
    return crop_alike(images, lines[:, :LINE], lines[:, LINE:], size_px=size_px, interpolation=interpolation)
