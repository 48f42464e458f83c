"""Flips and rotations."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from twofold.views.augmentations.base import BuiltIn, neutral, uniform, whole
from twofold.views.ops import rotation
from twofold.views.ops.alike import wide


@dataclass(frozen=True)
class Flip(BuiltIn):
    """Left-right."""

    name: ClassVar[str] = "flip"
    dim: ClassVar[int] = 3  # that is reversed

    def apply(self, images: Tensor, values: Tensor) -> Tensor:
        return images.flip(self.dim)

    @classmethod
    def apply_alike(cls, images: Tensor, columns: Tensor) -> Tensor:
        return torch.where(wide(columns) > 0, images.flip(cls.dim), images)


@dataclass(frozen=True)
class VerticalFlip(Flip):
    """Top-bottom."""

    name: ClassVar[str] = "vertical-flip"
    dim: ClassVar[int] = 2


@dataclass(frozen=True)
class Rotate(BuiltIn):
    """By a whole number of quarter turns in low .. high, counter-clockwise."""

    name: ClassVar[str] = "rotate"
    low: float
    high: float

    def draw(self, m: int, generator: Generator) -> Tensor:
        return whole(generator, m, int(self.low), int(self.high))

    def apply(self, images: Tensor, values: Tensor) -> Tensor:
        return rotation.rotate(images, values[:, 0])

    @staticmethod
    def columns(active: Tensor, values: Tensor, size_px: int) -> Tensor:
        return neutral(active, values, 0.0)

    @staticmethod
    def apply_alike(images: Tensor, columns: Tensor) -> Tensor:
        quarter, turned = wide(columns).round() % 4, images
        for k in (1, 2, 3):
            turned = torch.where(quarter == k, images.rot90(k, dims=(2, 3)), turned)
        return turned


@dataclass(frozen=True)
class RotateDegrees(BuiltIn):
    """By an angle in low .. high degrees, counter-clockwise; what comes in at the corners is the image mirrored."""

    name: ClassVar[str] = "rotate-degrees"
    low: float
    high: float

    def draw(self, m: int, generator: Generator) -> Tensor:
        return uniform(generator, m, 1, self.low, self.high)

    def apply(self, images: Tensor, values: Tensor) -> Tensor:
        return rotation.rotate_degrees(images, values[:, 0])

    @staticmethod
    def columns(active: Tensor, values: Tensor, size_px: int) -> Tensor:
        return neutral(active, values, 0.0)

    @staticmethod
    def apply_alike(images: Tensor, columns: Tensor) -> Tensor:
        return torch.where(wide(columns) != 0, rotation.rotate_degrees(images, columns[:, 0]), images)
