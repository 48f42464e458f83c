"""Ops that find edges, add noise and erase."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from twofold.views.augmentations.base import BuiltIn, neutral, uniform, whole
from twofold.views.ops import filters
from twofold.views.ops.alike import wide

_NOISE_SEEDS = 2**24  # whole numbers that float32 holds exactly


@dataclass(frozen=True)
class Sobel(BuiltIn):
    """Edges of each channel."""

    name: ClassVar[str] = "sobel"

    def apply(self, images: Tensor, values: Tensor) -> Tensor:
        return filters.sobel(images)

    @staticmethod
    def apply_alike(images: Tensor, columns: Tensor) -> Tensor:
        return torch.where(wide(columns) > 0, filters.sobel(images), images)


@dataclass(frozen=True)
class Noise(BuiltIn):
    """Gaussian noise, its standard deviation in low .. high."""

    name: ClassVar[str] = "noise"
    low: float
    high: float

    def draw(self, m: int, generator: Generator) -> Tensor:
        seeds = whole(generator, m, 0, _NOISE_SEEDS - 1)
        return torch.cat([uniform(generator, m, 1, self.low, self.high), seeds], dim=1)

    def apply(self, images: Tensor, values: Tensor) -> Tensor:
        return filters.noise(images, values[:, 0], values[:, 1])

    @staticmethod
    def columns(active: Tensor, values: Tensor, size_px: int) -> Tensor:
        return neutral(active, values, 0.0)

    @staticmethod
    def apply_alike(images: Tensor, columns: Tensor) -> Tensor:
        return filters.noise(images, columns[:, 0], columns[:, 1])


@dataclass(frozen=True)
class Cutout(BuiltIn):
    """A square of zeros, its area a fraction in low .. high of the image."""

    name: ClassVar[str] = "cutout"
    low: float
    high: float

    def draw(self, m: int, generator: Generator) -> Tensor:
        return torch.cat([uniform(generator, m, 1, self.low, self.high), uniform(generator, m, 2)], dim=1)

    def apply(self, images: Tensor, values: Tensor) -> Tensor:
        return filters.cutout(images, values[:, 0], values[:, 1:])

    @staticmethod
    def columns(active: Tensor, values: Tensor, size_px: int) -> Tensor:
        return neutral(active, values, 0.0)

    @staticmethod
    def apply_alike(images: Tensor, columns: Tensor) -> Tensor:
        return filters.cutout(images, columns[:, 0], columns[:, 1:])
