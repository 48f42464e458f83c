"""Gaussian blur."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from twofold.views.augmentations.base import BuiltIn, uniform
from twofold.views.ops import alike, blur

_SHARP = 1e12  # a kernel of one tap


@dataclass(frozen=True)
class Blur(BuiltIn):
    """Gaussian, sigma in low .. high pixels."""

    name: ClassVar[str] = "blur"
    low: float
    high: float

    def draw(self, m: int, generator: Generator) -> Tensor:
        return uniform(generator, m, 1, self.low, self.high)

    def apply(self, images: Tensor, values: Tensor) -> Tensor:
        return blur.blur(images, values[:, 0])

    @staticmethod
    def columns(active: Tensor, values: Tensor, size_px: int) -> Tensor:
        return torch.where(active[:, None], -0.5 / values.clamp(min=1e-6) ** 2, -_SHARP).clamp(min=-_SHARP)

    @staticmethod
    def apply_alike(images: Tensor, columns: Tensor) -> Tensor:
        return alike.blur(images, columns)
