"""Random resized crop."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from twofold.recipes.augmentation import Op
from twofold.views.augmentations.base import BuiltIn, uniform
from twofold.views.boxes import ASPECT, ATTEMPTS, crop_boxes
from twofold.views.ops import crop


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
        return crop.crop(images, boxes, size_px=size_px, interpolation=self.interpolation)

    @staticmethod
    def columns(active: Tensor, values: Tensor, size_px: int) -> Tensor:
        whole_view = torch.full((len(values), 2), size_px)
        every = torch.tensor([0, 0, size_px, size_px])
        boxes = torch.where(active[:, None], crop_boxes(values, whole_view), every)
        return torch.cat(crop.resize_lines(boxes, size_px=size_px), dim=1)

    @staticmethod
    def apply_alike(images: Tensor, columns: Tensor, interpolation: str = "bicubic") -> Tensor:
        down, across = columns.split(crop.LINE, dim=1)
        return crop.crop_alike(images, down, across, size_px=images.shape[-1], interpolation=interpolation)
