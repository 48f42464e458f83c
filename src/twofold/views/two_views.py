"""Every image becomes two views.

Legend: n images, 2n views, c channels, H x W pixels of a canvas, s = size_px, the side of a view in pixels.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from twofold.errors import TwofoldError
from twofold.recipes.augmentation import as_ops
from twofold.recipes.data import MOST_CHANNELS
from twofold.recipes.kinds import unfit
from twofold.recipes.recipe import ViewsRecipe
from twofold.views.augmentations import build_augmentation, require_augmentations, take
from twofold.views.ops import crop
from twofold.views.packed import framing, pack
from twofold.views.policy import build_policy
from twofold.views.sample import Draw, sample_views
from twofold.views.uniform import uniform_views

_CACHED_ELEMENTS = 2**20  # pixels handled at once: enough to keep a CPU busy, few enough for its cache


class TwoViews:
    """Two random views of each image of a batch, for a training loop of your own.

    `policy` is "simclr" or "small", a sequence of ops ("crop", "flip@0.5", "blur@0.5=0.1,2.0", `Op(...)` or objects
    that are an `Augmentation`; "policy" among them stands for all of simclr's), or the `ViewsRecipe` of a recipe.
    Views are size_px x size_px; `interpolation` is bicubic or bilinear. Both default to the recipe's, or to 224 and
    bicubic.

    >>> import torch
    >>> from twofold import TwoViews
    >>> images = torch.randint(0, 256, (8, 3, 40, 56), dtype=torch.uint8)
    >>> two_views = TwoViews("simclr", size_px=32)
    >>> view_a, view_b = two_views(images).chunk(2)
    >>> view_a.shape
    torch.Size([8, 3, 32, 32])

    What is drawn is a function of `seed` and `step`, which counts the calls; set `two_views.step` to go on from there.
    The views are made on the device of the images. Raises TwofoldError for a policy or for images that it cannot take.
    """

    def __init__(
        self,
        policy: str | ViewsRecipe | Sequence[Any] = "simclr",
        *,
        size_px: int | None = None,
        interpolation: str | None = None,
        seed: int = 0,
    ) -> None:
        if isinstance(policy, ViewsRecipe):
            recipe = policy
        elif isinstance(policy, str):
            recipe = ViewsRecipe(policy=policy)
        elif isinstance(policy, Sequence):
            recipe = ViewsRecipe(ops=as_ops(tuple(policy)))
        else:
            raise unfit("policy", policy, "a name, a list of ops or a ViewsRecipe")
        changed: dict[str, Any] = {"size_px": size_px, "interpolation": interpolation}
        self.recipe = replace(recipe, **{name: value for name, value in changed.items() if value is not None})
        self.seed, self.step = seed, 0
        self._ops = build_policy(self.recipe)
        self._tried: set[int] = set()  # numbers of channels that the user's own augmentations have been tried on

    def __call__(self, images: Tensor, sizes: Tensor | None = None) -> Tensor:
        """(n, c, H, W) -> (2n, c, s, s), float32 in [0, 1]: all a, then all b.

        `images` are uint8 in 0..255 or float in [0, 1], of up to 32 channels; `sizes` holds (height, width) of each
        where they lie at the top left of a larger canvas, int64 (n, 2).
        """
        _require_images(images)
        n, c, height, width = images.shape
        if c not in self._tried:
            require_augmentations(self._ops, channels=c, size_px=self.recipe.size_px)
            self._tried.add(c)
        if sizes is None:
            sizes = torch.tensor([[height, width]]).expand(n, 2)
        else:
            _require_sizes(sizes, images)
        draws = sample_views(self._ops, n, seed=self.seed, step=self.step)
        self.step += 1
        pixels = images.float() if images.is_floating_point() else images
        how: dict[str, Any] = {"size_px": self.recipe.size_px, "interpolation": self.recipe.interpolation}
        return two_views(pixels, sizes, draws, **how)


def _require_images(images: object) -> None:
    if not isinstance(images, Tensor):
        raise unfit("images", images, "a tensor (n, c, H, W)")
    what = f"a tensor of {images.dtype} of the shape {tuple(images.shape)}"
    fits = images.ndim == 4 and 1 <= images.shape[1] <= MOST_CHANNELS and 0 not in images.shape
    if not fits or not (images.dtype == torch.uint8 or images.is_floating_point()):
        raise TwofoldError(
            f"images is {what}, but it must be (n, c, H, W) with 1 to {MOST_CHANNELS} channels, uint8 or float. "
            "Convert it."
        )
    if images.is_floating_point() and images.device.type == "cpu":  # elsewhere the host would wait for it
        low, high = images.amin().item(), images.amax().item()
        if not (low >= 0 and high <= 1):
            raise TwofoldError(
                f"images holds numbers from {low:g} to {high:g}, but float images must lie in [0, 1]. Scale them, and "
                "normalise only what comes out."
            )


def _require_sizes(sizes: object, images: Tensor) -> None:
    n, _, height, width = images.shape
    if not isinstance(sizes, Tensor) or sizes.shape != (n, 2) or sizes.dtype != torch.int64:
        raise unfit("sizes", sizes, f"a tensor ({n}, 2) of int64, (height, width) of each image")
    if sizes.device.type == "cpu" and not ((sizes >= 1) & (sizes <= torch.tensor([height, width]))).all():
        raise TwofoldError(
            f"sizes holds {sizes.amin(dim=0).tolist()} to {sizes.amax(dim=0).tolist()}, but images lie on a canvas of "
            f"{height} x {width} pixels, so each must be from 1 to that. Give (height, width) of each image."
        )


def two_views(
    images: UInt8[Tensor, "n c H W"] | Float[Tensor, "n c H W"],
    sizes: Int64[Tensor, "n 2"],
    draws: Sequence[Draw],
    *,
    size_px: int,
    interpolation: str,
    compiled: bool = False,
) -> Float[Tensor, "2*n c {size_px} {size_px}"]:
    """Both views of every image: float32 in [0, 1], all a, then all b; a pure function without gradients.

    `sizes` holds (height, width) of each image, which lies at the top left of its canvas; the rest is never read.
    `draws` is what `sample_views` drew for these images. Where no crop acts, the view shows the central square.
    On a device the ops may be `compiled`; the first call then takes long.
    """
    n, c = images.shape[:2]
    if crop.on_device(images):
        return _on_device(images, sizes.repeat(2, 1), draws, size_px, interpolation, compiled)
    views = torch.empty(2 * n, c, size_px, size_px)
    for rows in (slice(0, n), slice(n, 2 * n)):
        _fill(views[rows], images, sizes, [draw.rows(rows) for draw in draws], interpolation)
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
    if crop.on_device(images):
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
        if size_px >= crop.LARGE_PX:
            _one_by_one(views, images, sizes, draws, interpolation)
            return
        chunk = _chunk_images(images, size_px)
        for start in range(0, len(images), chunk):
            part = slice(start, start + chunk)
            drawn = [draw.rows(part) for draw in draws]
            views[part] = _views(images[part], sizes[part], drawn, size_px=size_px, interpolation=interpolation)


def _one_by_one(views: Tensor, images: Tensor, sizes: Tensor, draws: Sequence[Draw], interpolation: str) -> None:
    """Each view from crop to last op before the next: a large one then stays in the processor's cache."""
    boxes, flipped, draws = framing(draws, sizes)
    acting = [(build_augmentation(draw.op, interpolation), draw.values, draw.active.tolist()) for draw in draws]
    mirrored = [False] * len(images) if flipped is None else flipped.tolist()
    for row, box in enumerate(boxes.tolist()):
        view = views[row : row + 1]
        crop.crop_into(view[0], images[row], box, interpolation=interpolation, flipped=mirrored[row])
        for augmentation, values, active in acting:
            if active[row]:
                drawn: Any = take(values, row)
                augmentation.apply_to_one(view, drawn)


def _chunk_images(images: Tensor, size_px: int) -> int:
    elements = images.shape[1] * max(size_px**2, images.shape[2] * images.shape[3])
    return max(1, _CACHED_ELEMENTS // elements)


def _views(images: Tensor, sizes: Tensor, draws: Sequence[Draw], *, size_px: int, interpolation: str) -> Tensor:
    """One view of each image."""
    boxes, flipped, draws = framing(draws, sizes)
    views = crop.crop(images, boxes, size_px=size_px, interpolation=interpolation, flipped=flipped)
    for draw in draws:
        views = build_augmentation(draw.op, interpolation).apply_where(views, draw.active, draw.values)
    return views
