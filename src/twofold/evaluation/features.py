"""Images -> features that probes are fitted on: h of a frozen encoder, layers of the head, and raw pixels."""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, Integer
from torch import Tensor, nn

from twofold.data import ImageSet
from twofold.errors import unknown_name
from twofold.evaluation.labels import MeasuredRows
from twofold.models.finite import require_finite
from twofold.models.head import layer_outputs
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


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is measured: an encoder with its views.

    `untrained(seed)` gives the same encoder with fresh weights, `head` is the trained g.
    """

    encoder: nn.Module
    untrained: Callable[[int], nn.Module] | None
    views: ViewsRecipe
    hardware: Hardware
    head: nn.Sequential | None = None
    name: str = "trained"

    @property
    def dim(self) -> int:
        """The length of h."""
        return int(self.encoder.dim)  # type: ignore[arg-type]

    def fresh(self, seed: int) -> nn.Module:
        """The encoder with the weights of `seed`, on its device."""
        assert self.untrained is not None
        return self.untrained(seed).to(self.hardware.device)


def with_open_branches(encoder: nn.Module) -> nn.Module:
    """The encoder, every normalisation whose scale is 0 throughout now at 1, in place.

    Residual branches may start at such a 0, which helps training. An encoder that is measured as it starts would be
    without them, and a baseline of straw: on CIFAR-10 a probe on it gets 31.8 % with them at zero, 38.7 % without.
    """
    for norm in encoder.modules():
        scale = getattr(norm, "weight", None) if isinstance(norm, nn.modules.batchnorm._NormBase) else None
        if isinstance(scale, Tensor) and not scale.any():
            nn.init.ones_(scale)
    return encoder


@dataclass(frozen=True)
class Features:
    """What one encoder makes of the images."""

    train: Float32[np.ndarray, "n d"]
    test: Float32[np.ndarray, "m d"]


@dataclass
class FeatureCache:
    """Features when they are first asked for. It holds one encoder's at a time: those of all may not fit in memory."""

    subject: Subject
    images: ImageSet
    rows: MeasuredRows
    _held: dict[tuple[str, int | None], dict[str, Features]] = field(default_factory=dict)

    def get(self, encoder: str, weights: int | None = None) -> Features:
        """Features by encoder: the subject's name, "untrained" with its `weights`, "pixels", or a layer of the head."""
        source = encoder if encoder in ("untrained", "pixels") else self.subject.name
        key = (source, weights)
        if key not in self._held:
            self._held.clear()
            self._held[key] = self._make(source, weights)
        return self._held[key][encoder]

    def _make(self, source: str, weights: int | None) -> dict[str, Features]:
        if source == "pixels":
            views = self.subject.views
            return {source: self._of_splits(lambda rows: pixels(self.images, rows, views=views))}
        if source == "untrained":
            assert weights is not None
            encoder = with_open_branches(self.subject.fresh(weights))
            return {source: self._of_splits(lambda rows: self._embed(encoder, rows, source))}
        h = self._of_splits(lambda rows: self._embed(self.subject.encoder, rows, source))
        layers = [_through(self.subject.head, part) if self.subject.head else {} for part in (h.train, h.test)]
        return {source: h} | {name: Features(layers[0][name], layers[1][name]) for name in layers[0]}

    def _of_splits(self, make: Callable[[Int64[np.ndarray, " n"]], Float32[np.ndarray, "n d"]]) -> Features:
        """Train and test; once where both are the same images, as in a cross-validation."""
        train = make(self.rows.train)
        return Features(train, train if self.rows.test is self.rows.train else make(self.rows.test))

    def _embed(self, encoder: nn.Module, rows: Integer[np.ndarray, " n"], name: str) -> Float32[np.ndarray, "n d"]:
        subject = self.subject
        return embed_images(encoder, self.images, rows, views=subject.views, hardware=subject.hardware, name=name)


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
    batches = (_views(images, part, views, views.embedding_px, hardware.device) for part in _batches(rows, batch_size))
    return encode(encoder, batches, autocast=hardware.autocast, name=name)


def encode(
    encoder: nn.Module,
    batches: Iterable[Float[Tensor, "b c s1 s2"]],
    *,
    autocast: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    name: str = "trained",
) -> Float32[np.ndarray, "n d"]:
    """The same of views that are already on the encoder's device, batch after batch."""
    training = {module: module.training for module in encoder.modules()}
    encoder.eval()
    try:
        with frozen(encoder), torch.inference_mode():
            h = _encode(encoder, batches, autocast)
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


def head_layers(head: nn.Sequential | None) -> list[str]:
    """The names of the head's outputs, the last one's "z"."""
    count = 0 if head is None else len(head)
    return [f"head-{place}" for place in range(1, count)] + ["z"] * (count > 0)


def head_part(head: nn.Sequential | None, layer: str) -> nn.Sequential:
    """The head up to `layer`. Raises TwofoldError for a layer that it does not have."""
    names = head_layers(head)
    if head is None or layer not in names:
        raise unknown_name("layer of the head", layer, ("h", *names))
    return head[: names.index(layer) + 1]


def _encode(
    encoder: nn.Module,
    batches: Iterable[Float[Tensor, "b c s1 s2"]],
    autocast: Callable[[], AbstractContextManager[object]],
) -> Float32[np.ndarray, "n d"]:
    parts = []
    for x in batches:
        with autocast():
            h = encoder(x)
        parts.append(h.float().cpu().numpy())
    return np.concatenate(parts) if parts else np.zeros((0, int(getattr(encoder, "dim", 0))), np.float32)


def _through(head: nn.Sequential, h: Float32[np.ndarray, "n d"]) -> dict[str, Float32[np.ndarray, "n p"]]:
    if not len(head):
        return {}
    device = next(head.parameters()).device
    training = head.training
    head.eval()
    try:
        with frozen(head), torch.inference_mode():
            outputs = layer_outputs(head, torch.from_numpy(h).to(device))
            layers = {name: values.float().cpu().numpy() for name, values in outputs.items()}
    finally:
        head.train(training)
    for name, values in layers.items():
        require_finite(values, f"the head's layer {name}")
    return layers


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
