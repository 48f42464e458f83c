"""Ops that move pixels."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from twofold.recipes.augmentation import Op
from twofold.views.augmentations.base import BuiltIn, neutral, uniform, whole
from twofold.views.boxes import ASPECT, ATTEMPTS, crop_boxes
from twofold.views.ops import geometry
from twofold.views.ops.alike import wide


@dataclass(frozen=True)
class Crop(BuiltIn):
    """A random box, its area a fraction in low .. high and its aspect in 3/4 .. 4/3, resized to the size of a view.

    The first op of a policy cuts the image itself (`two_views`); one that comes later cuts the view.
    """

    name: ClassVar[str] = "crop"
    low: float
    high: float
    interpolation: str = "bicubic"

    def as_op(self) -> Op:
        return Op(name=self.name, range=(self.low, self.high))

    def draw(self, m: int, generator: Generator) -> Tensor:
        areas = uniform(generator, m, ATTEMPTS, self.low, self.high)
        log_aspects = uniform(generator, m, ATTEMPTS, math.log(ASPECT[0]), math.log(ASPECT[1]))
        return torch.cat([areas, log_aspects, uniform(generator, m, 2)], dim=1)

    def apply(self, images: Tensor, values: Tensor) -> Tensor:
        size_px = images.shape[-1]
        boxes = crop_boxes(values, torch.full((len(images), 2), size_px))
        return geometry.crop(images, boxes, size_px=size_px, interpolation=self.interpolation)

    @staticmethod
    def columns(active: Tensor, values: Tensor, size_px: int) -> Tensor:
        whole_view = torch.full((len(values), 2), size_px)
        every = torch.tensor([0, 0, size_px, size_px])
        boxes = torch.where(active[:, None], crop_boxes(values, whole_view), every)
        return torch.cat(geometry.resize_lines(boxes, size_px=size_px), dim=1)

    @staticmethod
    def apply_alike(images: Tensor, columns: Tensor, interpolation: str = "bicubic") -> Tensor:
        down, across = columns.split(geometry.LINE, dim=1)
        return geometry.crop_alike(images, down, across, size_px=images.shape[-1], interpolation=interpolation)


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
        return geometry.rotate(images, values[:, 0])

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
        return geometry.rotate_degrees(images, values[:, 0])

    @staticmethod
    def columns(active: Tensor, values: Tensor, size_px: int) -> Tensor:
        return neutral(active, values, 0.0)

    @staticmethod
    def apply_alike(images: Tensor, columns: Tensor) -> Tensor:
        return torch.where(wide(columns) != 0, geometry.rotate_degrees(images, columns[:, 0]), images)
