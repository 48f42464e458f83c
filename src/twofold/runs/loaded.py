"""A trained encoder in use: images in, embeddings out."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from numpy import ndarray
from torch import Tensor, nn

from twofold.data import Rules
from twofold.data.parallel import in_order
from twofold.errors import TwofoldError, enough_memory, require, unknown_name
from twofold.hardware.device import Hardware
from twofold.models.finite import require_finite
from twofold.recipes.kinds import as_kind
from twofold.recipes.recipe import Recipe
from twofold.runs.inputs import one_by_one, read_image
from twofold.views import center_view

_NEAR = 8  # names of layers that an error shows


@dataclass(frozen=True)
class Transform:
    """An image -> the view of it that the encoder embeds, as a transform of a torchvision data set.

    (image) -> (c, s, s) float32 in [0, 1]: the central square, resized. An image is whatever `Loaded.embed` takes.
    Raises TwofoldError for what is no image.
    """

    rules: Rules  # by which images are decoded, as in training: larger ones at about twice s
    size_px: int  # s
    crop_fraction: float
    interpolation: str

    def __call__(self, image: Any) -> Float[Tensor, "c s s"]:
        return self.cut(self.read(image, 0))[0]

    def read(self, image: Any, place: int) -> UInt8[ndarray, "H W c"]:
        """The pixels of the image at `place` of a sequence, as an error counts it."""
        return read_image(image, place, self.rules)

    def cut(self, pixels: UInt8[ndarray, "H W c"]) -> Float[Tensor, "1 c s s"]:
        """The central view of an image's pixels."""
        return center_view(
            torch.tensor(pixels).permute(2, 0, 1)[None],
            torch.tensor([pixels.shape[:2]]),
            size_px=self.size_px,
            crop_fraction=self.crop_fraction,
            interpolation=self.interpolation,
        )


@dataclass(frozen=True)
class Loaded:
    """A trained encoder with what it needs to be used: `loaded.embed(images)`."""

    encoder: nn.Module
    recipe: Recipe
    hardware: Hardware
    step: int | None

    @property
    def dim(self) -> int:
        """The length d of an embedding."""
        return int(self.encoder.dim)  # type: ignore[arg-type]

    @property
    def transform(self) -> Transform:
        """What turns an image into the view that is embedded: for a data set and a loop of your own.

        `loaded.encoder(torch.stack([loaded.transform(image) for image in images]))` is what `embed` computes.
        """
        views = self.recipe.views
        return Transform(
            rules=Rules.of(self.recipe.data, self.recipe.stored_px).alone(),
            size_px=views.embedding_px,
            crop_fraction=views.eval_crop_fraction,
            interpolation=views.interpolation,
        )

    @property
    def layers(self) -> list[str]:
        """The names that `features` takes, from the first layer to the last."""
        return list(self._layers())

    def embed(self, images: object, *, batch_size: int = 256) -> Float[ndarray, "n d"]:
        """Embeddings h of a sequence, an iterator or a batch of images, a row each; of a single one, (1, d).

        An image is a path, the bytes of a file, an open file, a Pillow image, an array (H, W) or (H, W, c) or a tensor
        (c, H, W); a batch is an array (n, H, W, c) or a tensor (n, c, H, W). Pixels are uint8 in 0..255 or float in
        [0, 1], which is rounded to 8 bits; all forms of the same pixels give the same h (`read_image` has the rules).
        Each image is turned into its central view and encoded in evaluation mode, `batch_size` at a time.
        Raises TwofoldError for what is no image or cannot be read, and for embeddings that are not finite.
        """
        parts = list(self.embed_iter(images, batch_size=batch_size))
        return np.concatenate(parts) if parts else np.zeros((0, int(getattr(self.encoder, "dim", 0))), np.float32)

    def embed_iter(self, images: object, *, batch_size: int = 256) -> Iterator[Float[ndarray, "m d"]]:
        """What `embed` gives, in parts of `batch_size` rows. No more images are taken than the parts asked for need.

        So it may go on for ever: `for h in encoder.embed_iter(camera()): ...`.
        """
        batch_size = as_kind("batch_size", batch_size, int)
        require(batch_size >= 1, "batch_size", batch_size, "at least 1", fix="Leave it out for 256.")
        return self._parts(one_by_one(images), batch_size)

    def features(self, images: object, *, layer: str, batch_size: int = 256) -> Shaped[ndarray, "n ..."]:
        """What an inner layer of the encoder makes of images: a map (n, k, h, w) of a convolution, float32.

        images: as in `embed`. layer: one of `layers`, such as "layer3" of a ResNet; where it is used several times in
        one pass, the last of them counts. All maps are held in memory together.
        Raises TwofoldError for an unknown layer, and for one that returns anything else than a tensor.
        """
        module, kept, parts = self._layer(layer), list[object](), list[ndarray]()
        handle = module.register_forward_hook(lambda _module, _given, out: kept.append(_copied(out)))
        try:
            for _ in self.embed_iter(images, batch_size=batch_size):
                parts.append(_array(kept, layer))
                kept.clear()
        finally:
            handle.remove()
        require(len(parts) > 0, "images", images, "at least one image", fix="Give one or more.")
        return np.concatenate(parts)

    def _layers(self) -> dict[str, nn.Module]:
        """By name; a module of the user's, which an adapter holds as `module`, has the names that it has alone."""
        named = self.encoder.named_modules()
        return {name.removeprefix("module."): layer for name, layer in named if name not in ("", "module")}

    def _layer(self, name: str) -> nn.Module:
        layers = self._layers()
        if as_kind("layer", name, str) not in layers:
            near = difflib.get_close_matches(name, layers, n=_NEAR, cutoff=0.3)
            raise unknown_name("layer", name, near or list(layers)[:_NEAR])
        return layers[name]

    def _parts(self, images: Iterator[Any], batch_size: int) -> Iterator[Float[ndarray, "m d"]]:
        place = 0
        while batch := list(islice(images, batch_size)):
            with enough_memory(f"{len(batch)} images at a time", "Give a smaller batch_size."):
                x = torch.cat(self._views(batch, place))
                self.encoder.eval()
                with torch.inference_mode(), self.hardware.arithmetic(), self.hardware.autocast():
                    h = self.encoder(x.to(self.hardware.device)).float().cpu().numpy()
            require_finite(h)
            yield h
            place += len(batch)

    def _views(self, batch: list[Any], place: int) -> list[Float[Tensor, "1 c s s"]]:
        """Decoded by all cores, cut by one."""
        transform = self.transform

        def read(index: int) -> UInt8[ndarray, "H W c"]:
            return transform.read(batch[index], place + index)

        return [transform.cut(pixels) for pixels in in_order(read, len(batch), text="Decoding images", show=False)]


def _copied(out: object) -> object:
    """Later layers may write into it."""
    return out.detach().float().clone() if isinstance(out, Tensor) else out


def _array(kept: list[object], layer: str) -> ndarray:
    if not kept or not isinstance(kept[-1], Tensor):
        got = f"returned a {type(kept[-1]).__name__}" if kept else "was not used"
        raise TwofoldError(f"layer '{layer}' {got}, but features are a tensor. Choose a layer inside it or around it.")
    return kept[-1].cpu().contiguous().numpy()
