"""Images -> embeddings h of a frozen encoder, and the raw pixels that they are compared with."""

import contextlib
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32, Integer
from torch import Tensor, nn

from twofold.data import ImageSet
from twofold.models.finite import require_finite
from twofold.recipes.recipe import ViewsRecipe
from twofold.views import center_view

PIXEL_NUMBERS = 1024  # 32 px grey, 18 px colour: as many as a probe fits in minutes


@runtime_checkable
class Hardware(Protocol):
    """What embedding needs to know of a machine; `twofold.hardware.device.Hardware` is one."""

    @property
    def device(self) -> torch.device:
        """Where the encoder lives."""

    def autocast(self) -> AbstractContextManager[object]:
        """The context that sets the precision of the encoder."""


@contextlib.contextmanager
def frozen(encoder: nn.Module) -> Iterator[None]:
    """See that no parameter and no buffer changes inside the block, not by a single bit.

    Raises RuntimeError naming the first that did: a fault of the program, not of its use (reference 5.1).
    """
    before = {name: tensor.detach().clone() for name, tensor in _tensors(encoder)}
    yield
    after = dict(_tensors(encoder))
    if before.keys() != after.keys():
        raise RuntimeError(f"the frozen encoder's tensors changed: {sorted(before.keys() ^ after.keys())}")
    for name, tensor in after.items():
        if not _bit_identical(before[name], tensor.detach()):
            raise RuntimeError(f"the frozen encoder's '{name}' changed while embedding; is it in training mode?")


def embed_images(
    encoder: nn.Module,
    images: ImageSet,
    rows: Integer[np.ndarray, " n"],
    *,
    views: ViewsRecipe,
    hardware: Hardware,
    batch_size: int = 512,
    name: str = "trained",
) -> Float32[np.ndarray, "n d"]:
    """Embeddings h of the central views of `rows`, each row once and in order, the last partial batch included.

    The encoder runs in evaluation mode and is `frozen`; its modules' training flags are as before afterwards.
    Raises NotFiniteError, which calls the encoder by its `name`, where some number is not finite.
    """
    training = {module: module.training for module in encoder.modules()}
    encoder.eval()
    try:
        with frozen(encoder), torch.inference_mode():
            h = _encode(encoder, images, rows, views=views, hardware=hardware, batch_size=batch_size)
    finally:
        for module, flag in training.items():
            module.training = flag
    require_finite(h, f"the {name} encoder")
    return h


def pixels(images: ImageSet, rows: Integer[np.ndarray, " n"], *, views: ViewsRecipe) -> Float32[np.ndarray, "n d"]:
    """The same central views, shrunk to at most 1,024 numbers and flattened: d = channels * side²; values in [0, 1]."""
    side_px = min(views.embedding_px, math.isqrt(PIXEL_NUMBERS // images.channels))
    parts = [
        _views(images, part, views, side_px, torch.device("cpu")).flatten(1).numpy() for part in _batches(rows, 512)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, images.channels * side_px**2), np.float32)


def _encode(
    encoder: nn.Module,
    images: ImageSet,
    rows: Integer[np.ndarray, " n"],
    *,
    views: ViewsRecipe,
    hardware: Hardware,
    batch_size: int,
) -> Float32[np.ndarray, "n d"]:
    parts = []
    for part in _batches(rows, batch_size):
        x = _views(images, part, views, views.embedding_px, hardware.device)
        with hardware.autocast():
            h = encoder(x)
        parts.append(h.float().cpu().numpy())
    return np.concatenate(parts) if parts else np.zeros((0, int(getattr(encoder, "dim", 0))), np.float32)


def _batches(rows: Integer[np.ndarray, " n"], size: int) -> Iterator[Integer[np.ndarray, " m"]]:
    return (rows[first : first + size] for first in range(0, len(rows), size))


def _views(
    images: ImageSet, rows: Integer[np.ndarray, " n"], views: ViewsRecipe, size_px: int, device: torch.device
) -> Float[Tensor, "n c s s"]:
    batch = images.read(rows)
    return center_view(
        batch.images.to(device),
        batch.sizes.to(device),
        size_px=size_px,
        crop_fraction=views.eval_crop_fraction,
        interpolation=views.interpolation,
    )


def _tensors(encoder: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from encoder.named_parameters()
    yield from encoder.named_buffers()  # also those that a state dict leaves out


def _bit_identical(a: Tensor, b: Tensor) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return torch.equal(a.contiguous().flatten().view(torch.uint8), b.contiguous().flatten().view(torch.uint8))
