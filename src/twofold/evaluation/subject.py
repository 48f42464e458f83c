"""What is measured: a trained encoder, what it is compared with, and the features that each makes of the pictures."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import nn

from twofold.data import ImageSet
from twofold.evaluation.embed import Hardware, embed_images, frozen, pixels
from twofold.evaluation.labelled import Labelled
from twofold.models.finite import require_finite
from twofold.models.heads import layer_outputs
from twofold.recipes.recipe import ViewsRecipe


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An encoder with its views; `untrained(seed)` gives the same one with fresh weights, `head` is the trained g."""

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


@dataclass(frozen=True)
class Features:
    """What one encoder makes of the pictures."""

    train: Float32[np.ndarray, "n d"]
    test: Float32[np.ndarray, "m d"]


@dataclass
class Shelf:
    """Features when they are first asked for. It holds one encoder's at a time: those of all may not fit in memory."""

    subject: Subject
    images: ImageSet
    labelled: Labelled
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
        places = (self.labelled.train, self.labelled.test)
        if source == "pixels":
            views = self.subject.views
            return {source: Features(*(pixels(self.images, rows, views=views) for rows in places))}
        if source == "untrained":
            assert weights is not None
            encoder = self.subject.fresh(weights)
            return {source: Features(*(self._embed(encoder, rows, source) for rows in places))}
        train, test = (self._embed(self.subject.encoder, rows, source) for rows in places)
        layers = [_through(self.subject.head, h) if self.subject.head else {} for h in (train, test)]
        return {source: Features(train, test)} | {
            name: Features(layers[0][name], layers[1][name]) for name in layers[0]
        }

    def _embed(self, encoder: nn.Module, rows: Int64[np.ndarray, " n"], name: str) -> Float32[np.ndarray, "n d"]:
        subject = self.subject
        return embed_images(encoder, self.images, rows, views=subject.views, hardware=subject.hardware, name=name)


def head_layers(head: nn.Sequential | None) -> list[str]:
    """The names of the head's outputs, the last one's "z"."""
    count = 0 if head is None else len(head)
    return [f"head-{place}" for place in range(1, count)] + ["z"] * (count > 0)


def _through(head: nn.Sequential, h: Float32[np.ndarray, "n d"]) -> dict[str, Float32[np.ndarray, "n p"]]:
    if not len(head):
        return {}
    device = next(head.parameters()).device
    training = head.training
    head.eval()
    try:
        with frozen(head), torch.inference_mode():
            outputs = layer_outputs(head, torch.from_numpy(h).to(device))
            found = {name: values.float().cpu().numpy() for name, values in outputs.items()}
    finally:
        head.train(training)
    for name, values in found.items():
        require_finite(values, f"the head's layer {name}")
    return found
