"""Ops that change colours."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from twofold.views.augmentations.base import BuiltIn, neutral, uniform
from twofold.views.ops import alike, colour
from twofold.views.ops.alike import wide

_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE = range(4)


@dataclass(frozen=True)
class Jitter(BuiltIn):
    """Brightness, contrast and saturation by a factor in max(0, 1 - x) .. 1 + x, hue by -x .. x turns, in any order."""

    name: ClassVar[str] = "jitter"
    brightness: float
    contrast: float
    saturation: float
    hue: float

    def draw(self, m: int, generator: Generator) -> Tensor:
        strengths = (self.brightness, self.contrast, self.saturation)
        factors = [uniform(generator, m, 1, max(0.0, 1.0 - x), 1.0 + x) for x in strengths]
        hue = uniform(generator, m, 1, -self.hue, self.hue)
        order = uniform(generator, m, 4).argsort(dim=1).to(torch.float32)
        return torch.cat([*factors, hue, order], dim=1)

    def apply(self, images: Tensor, values: Tensor) -> Tensor:
        return colour.jitter(images, values[:, :4], values[:, 4:])

    def apply_where(self, images: Tensor, active: Tensor, values: Tensor) -> Tensor:
        """It acts in most rows: the others pass through it with parameters that change nothing."""
        if not active.any():
            return images
        identity = values.new_tensor(colour.JITTER_IDENTITY)
        return colour.jitter(images, torch.where(active[:, None], values[:, :4], identity), values[:, 4:])

    def apply_to_one(self, image: Tensor, values: Tensor) -> None:
        colour.jitter_in_place(image, values[:4], values[4:])

    @staticmethod
    def columns(active: Tensor, values: Tensor, size_px: int) -> Tensor:
        """Each of brightness, contrast and saturation is clamp(x + (1 - f) (pivot - x)); pivot 0, mean luma or luma.

        An image's hue comes at one of four places, so its order is at most three such steps, hue, and three more; the
        steps that it has not got have f = 1.
        """
        order = values[:, 4:].long()
        place = torch.arange(4)
        hue_at = (order == _HUE).long() @ place
        due = torch.stack([place[:-1] < hue_at[:, None], place[1:] > hue_at[:, None]], dim=1) & active[:, None, None]
        op = torch.stack([order[:, :-1], order[:, 1:]], dim=1)  # (m, 2, 3): before the change of hue, and after it
        factor = torch.where(due, values[:, :4].gather(1, op.flatten(1)).view(op.shape), 1.0)
        rest = 1 - factor
        steps = torch.stack([factor, rest * (op == _CONTRAST), rest * (op == _SATURATION)], dim=3)
        hue = 6 * values[:, _HUE] * active
        return torch.cat([hue[:, None], steps.flatten(1)], dim=1)

    @staticmethod
    def apply_alike(images: Tensor, columns: Tensor) -> Tensor:
        return alike.jitter(images, columns)


@dataclass(frozen=True)
class Grayscale(BuiltIn):
    """Luma in every channel."""

    name: ClassVar[str] = "grayscale"

    def apply(self, images: Tensor, values: Tensor) -> Tensor:
        return colour.grayscale(images)

    def apply_to_one(self, image: Tensor, values: Tensor) -> None:
        image.copy_(colour.luma(image))

    @staticmethod
    def apply_alike(images: Tensor, columns: Tensor) -> Tensor:
        return torch.where(wide(columns) > 0, colour.luma(images), images)


@dataclass(frozen=True)
class Solarise(BuiltIn):
    """Pixels from a threshold in low .. high on are inverted."""

    name: ClassVar[str] = "solarise"
    low: float
    high: float

    def draw(self, m: int, generator: Generator) -> Tensor:
        return uniform(generator, m, 1, self.low, self.high)

    def apply(self, images: Tensor, values: Tensor) -> Tensor:
        return colour.solarise(images, values[:, 0])

    @staticmethod
    def columns(active: Tensor, values: Tensor, size_px: int) -> Tensor:
        return neutral(active, values, float("inf"))

    @staticmethod
    def apply_alike(images: Tensor, columns: Tensor) -> Tensor:
        return colour.solarise(images, columns[:, 0])
