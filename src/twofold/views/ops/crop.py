"""Crop and resize: pure functions of whole batches.

Legend: n images, c channels, H x W pixels of a canvas, s = size_px, the side of a view in pixels.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional

_FAR = 1e6  # a distance at which every kernel is zero
_MOST_ELEMENTS = 2**28  # of canvases in float32 at once on a device: bounds the memory
LINE = 5  # numbers of a line
LARGE_PX = 96  # views from this size on are cropped one by one on a CPU: products of mostly zero weights cost more


def crop(
    images: UInt8[Tensor, "n c H W"] | Float[Tensor, "n c H W"],
    boxes: Int64[Tensor, "n 4"],
    *,
    size_px: int,
    interpolation: str,
    flipped: Bool[Tensor, "n"] | None = None,
) -> Float[Tensor, "n c {size_px} {size_px}"]:
    """Each image's box (top, left, height, width) resized to s x s, antialiased, and flipped left-right where asked.

    view = A X B^T for each channel X; the rows of A (s x H) and B (s x W) hold the weights of `resize_weights`, and a
    flip reverses the order of B's rows. Pixels outside the box weigh nothing. Float32, uint8 scaled to [0, 1], clamped
    to [0, 1] (bicubic overshoots). `interpolation` is bilinear or bicubic. Equals torchvision's resized_crop. On a CPU
    bilinear views of 96 px and more are made of uint8 images in 8 bits, as in Pillow: rounded to whole 255ths.
    """
    if on_device(images):
        down, across = resize_lines(boxes, size_px=size_px, flipped=flipped)
        there = sent(torch.cat([down, across], dim=1), images.device)
        return crop_alike(images, there[:, :LINE], there[:, LINE:], size_px=size_px, interpolation=interpolation)
    if size_px >= LARGE_PX:
        return _one_by_one(images, boxes, flipped, size_px, interpolation)
    views = _all_at_once(images, boxes, flipped, size_px, interpolation)
    if images.dtype == torch.uint8:
        views.div_(255)
    return views.clamp_(0, 1)


def on_device(images: Tensor) -> bool:
    """Whether every image takes the same way; on a CPU, which waits for nothing, what is not due is left out."""
    return images.device.type != "cpu"


def crop_alike(
    images: UInt8[Tensor, "n c H W"] | Float[Tensor, "n c H W"],
    down: Float[Tensor, "m 5"],
    across: Float[Tensor, "m 5"],
    *,
    size_px: int,
    interpolation: str,
) -> Float[Tensor, "m c {size_px} {size_px}"]:
    """`crop` by numbers of `resize_lines` on the images' device: m / n views of each image (all a, then all b).

    No shape depends on the boxes, and the host waits for nothing.
    """
    n, each = len(images), len(down) // len(images)
    at_once = max(1, _MOST_ELEMENTS // images[0].numel())
    if n <= at_once:
        return _alike(images, down, across, size_px, interpolation)
    parts = []
    for start in range(0, n, at_once):
        part = slice(start, start + at_once)
        lines = [drawn.unflatten(0, (each, n))[:, part].flatten(0, 1) for drawn in (down, across)]
        parts.append(_alike(images[part], lines[0], lines[1], size_px, interpolation).unflatten(0, (each, -1)))
    return torch.cat(parts, dim=1).flatten(0, 1)


def crop_into(
    view: Float[Tensor, "c s1 s2"],
    image: UInt8[Tensor, "c H W"] | Float[Tensor, "c H W"],
    box: Sequence[int],
    *,
    interpolation: str,
    flipped: bool,
) -> None:
    """`crop` of one image, as a CPU makes large views of it, written into `view`."""
    top, left, height, width = box
    pixels = image[None, :, top : top + height, left : left + width]
    if interpolation == "bicubic":  # 8 bits would cut off what the first of the two passes overshoots
        pixels = pixels.to(torch.float32)
    resized = functional.interpolate(pixels, tuple(view.shape[1:]), mode=interpolation, antialias=True)[0]
    torch.div(resized.flip(2) if flipped else resized, 255 if image.dtype == torch.uint8 else 1, out=view)
    if interpolation == "bicubic":
        view.clamp_(0, 1)


def _one_by_one(images: Tensor, boxes: Tensor, flipped: Tensor | None, size_px: int, interpolation: str) -> Tensor:
    views = torch.empty(len(images), images.shape[1], size_px, size_px)
    mirror = torch.zeros(len(images), dtype=torch.bool) if flipped is None else flipped
    for image, box, mirrored, view in zip(images, boxes.tolist(), mirror.tolist(), views, strict=True):
        crop_into(view, image, box, interpolation=interpolation, flipped=mirrored)
    return views


def _all_at_once(images: Tensor, boxes: Tensor, flipped: Tensor | None, size_px: int, interpolation: str) -> Tensor:
    top, left = boxes[:, :2].amin(dim=0).tolist()
    bottom, right = (boxes[:, :2] + boxes[:, 2:]).amax(dim=0).tolist()
    region = images[:, :, top:bottom, left:right].to(torch.float32)
    weights = partial(resize_weights, size_px=size_px, interpolation=interpolation)
    A = weights(boxes[:, 0] - top, boxes[:, 2], extent_px=bottom - top)
    B = weights(boxes[:, 1] - left, boxes[:, 3], extent_px=right - left, flipped=flipped)
    return two_sided(A, region, B)


def _alike(images: Tensor, down: Tensor, across: Tensor, size_px: int, interpolation: str) -> Tensor:
    n, c, H, W = images.shape
    m = len(down)
    lines = torch.cat([down, across])
    A, B = line_weights(lines, extent_px=max(H, W), size_px=size_px, interpolation=interpolation).chunk(2)
    pixels = images.reshape(n, c * H, W).to(torch.float32)
    both = B[..., :W].unflatten(0, (m // n, n)).movedim(0, 1).flatten(1, 2)  # (n, s of a, s of b; W)
    columns = torch.bmm(pixels, both.transpose(1, 2)).view(n, c, H, m // n, size_px)
    rows = torch.bmm(A[..., :H], columns.permute(3, 0, 2, 1, 4).reshape(m, H, c * size_px))
    views = torch.empty(m, c, size_px, size_px, device=images.device)
    torch.div(rows.view(m, size_px, c, size_px).movedim(2, 1), 255 if images.dtype == torch.uint8 else 1, out=views)
    return views.clamp_(0, 1)


def resize_lines(
    boxes: Int64[Tensor, "m 4"], *, size_px: int, flipped: Bool[Tensor, "m"] | None = None
) -> tuple[Float[Tensor, "m 5"], Float[Tensor, "m 5"]]:
    """What `line_weights` needs to know of each box (top, left, height, width): down the image, and across it.

    Of a line: its first pixel, half its length, the scale r = length / s, the factor 1 / max(r, 1) on distances, and s
    where it runs backwards, else 0.
    """
    found = []
    for start, length in ((boxes[:, 0], boxes[:, 2]), (boxes[:, 1], boxes[:, 3])):
        scale = length.to(torch.float32) / size_px
        shrink = 1 / scale.clamp(min=1)
        found.append(torch.stack([start, length / 2, scale, shrink, torch.zeros_like(scale)], dim=1))
    if flipped is not None:
        found[1][:, 4] = flipped * size_px
    return found[0], found[1]


def line_weights(
    lines: Float[Tensor, "m 5"], *, extent_px: int, size_px: int, interpolation: str
) -> Float[Tensor, "m {size_px} {extent_px}"]:
    """`resize_weights` in few operations, from the numbers of `resize_lines`."""
    start, half, scale, shrink, backwards = lines[:, :, None].unbind(dim=1)
    i = (torch.arange(0.5, size_px, device=lines.device) - backwards).abs_()
    j = torch.arange(0.5, extent_px, device=lines.device) - start
    taps = torch.where((j - half).abs_() < half, j * shrink, _FAR)
    distance = (taps[:, None, :] - i.mul_(scale).mul_(shrink)[:, :, None]).abs_()
    weights = _KERNELS[interpolation](distance)
    return weights.div_(weights.sum(dim=2, keepdim=True))


def sent(numbers: Tensor, device: torch.device) -> Tensor:
    """On the device, without a wait of the host."""
    return ready(numbers, device).to(device, non_blocking=True)


def ready(numbers: Tensor, device: torch.device) -> Tensor:
    """In memory that `device` copies without a wait of the host: page-locked for a GPU."""
    return numbers.pin_memory() if device.type == "cuda" else numbers


def resize_weights(
    start: Int64[Tensor, "n"],
    length: Int64[Tensor, "n"],
    *,
    extent_px: int,
    size_px: int,
    interpolation: str,
    flipped: Bool[Tensor, "n"] | None = None,
) -> Float[Tensor, "n {size_px} {extent_px}"]:
    """Weights that resize pixels start .. start + length - 1 of a line of `extent_px` pixels to `size_px` pixels.

    With scale r = length / s, pixel i takes w_ij = k((j + 1/2 - start - r (i + 1/2)) / max(r, 1)), cut off outside the
    box and divided by its sum over j; k is the triangle or the cubic convolution kernel with a = -1/2 (Keys 1981).
    """
    device = start.device
    scale = (length.to(torch.float32) / size_px)[:, None]
    i = torch.arange(size_px, device=device, dtype=torch.float32).expand(len(start), -1)
    if flipped is not None:
        i = torch.where(flipped[:, None], size_px - 1 - i, i)
    j = torch.arange(extent_px, device=device) - start[:, None]
    inside = (j >= 0) & (j < length[:, None])
    shrink = 1 / scale.clamp(min=1)
    taps = torch.where(inside, (j + 0.5) * shrink, _FAR)
    distance = (taps[:, None, :] - ((i + 0.5) * scale * shrink)[:, :, None]).abs_()
    weights = _KERNELS[interpolation](distance)
    return weights.div_(weights.sum(dim=2, keepdim=True))


def two_sided(A: Tensor, images: Tensor, B: Tensor) -> Tensor:
    """A X B^T for each channel X of each image: (n, p, H), (n, c, H, W), (n, q, W) -> (n, c, p, q)."""
    n, c, H, W = images.shape
    across = torch.bmm(images.reshape(n, c * H, W), B.transpose(1, 2)).view(n, c, H, -1)
    return torch.stack([torch.bmm(A, across[:, channel]) for channel in range(c)], dim=1)


def _triangle(distance: Tensor) -> Tensor:
    return distance.neg_().add_(1).clamp_(min=0)


def _twice_cubic(distance: Tensor) -> Tensor:
    """2 k(|x|) = t^2 (t - 1) + u^2 (2 - 4u) with t = max(2 - |x|, 0) and u = max(1 - |x|, 0): no branches."""
    t = distance.neg_().add_(2).clamp_(min=0)
    less = t - 1
    u = less.clamp(min=0)
    return t.square_().mul_(less).addcmul_((u * -4).add_(2).mul_(u), u)


_KERNELS: dict[str, Callable[[Tensor], Tensor]] = {"bilinear": _triangle, "bicubic": _twice_cubic}
