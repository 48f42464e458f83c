"""Ops that change each channel by itself, for images of any number of channels."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from twofold.recipes.data import MOST_CHANNELS
from twofold.views.augmentations.base import BuiltIn, uniform
from twofold.views.ops import channels


@dataclass(frozen=True)
class ChannelJitter(BuiltIn):
    """Each channel x becomes gain x^gamma + offset, with numbers of its own.

    Gain in max(0, 1 - g) .. 1 + g, offset in -o .. o, gamma in e^-x .. e^x.
    """

    name: ClassVar[str] = "channel-jitter"
    gain: float
    offset: float
    gamma: float

    def draw(self, m: int, generator: Generator) -> Tensor:
        """Three numbers for each of 32 channels: the first of them count where there are fewer."""
        gain = uniform(generator, m, MOST_CHANNELS, max(0.0, 1.0 - self.gain), 1.0 + self.gain)
        offset = uniform(generator, m, MOST_CHANNELS, -self.offset, self.offset)
        gamma = uniform(generator, m, MOST_CHANNELS, -self.gamma, self.gamma).exp()
        return torch.cat([gain, offset, gamma], dim=1)

    def apply(self, images: Tensor, values: Tensor) -> Tensor:
        gain, offset, gamma = values.view(len(values), 3, MOST_CHANNELS)[:, :, : images.shape[1]].unbind(dim=1)
        return channels.adjust(images, gain, offset, gamma)

    @staticmethod
    def columns(active: Tensor, values: Tensor, size_px: int) -> Tensor:
        identity = torch.tensor([1.0, 0.0, 1.0]).repeat_interleave(MOST_CHANNELS)
        return torch.where(active[:, None], values, identity)

    @staticmethod
    def apply_alike(images: Tensor, columns: Tensor) -> Tensor:
        return ChannelJitter(0.0, 0.0, 0.0).apply(images, columns)


@dataclass(frozen=True)
class ChannelDrop(BuiltIn):
    """One channel, each as likely as another, becomes zero; a single one stays."""

    name: ClassVar[str] = "channel-drop"

    def draw(self, m: int, generator: Generator) -> Tensor:
        return uniform(generator, m, 1)

    def apply(self, images: Tensor, values: Tensor) -> Tensor:
        return channels.drop(images, values[:, 0])

    @staticmethod
    def columns(active: Tensor, values: Tensor, size_px: int) -> Tensor:
        return torch.where(active[:, None], values, -1.0)

    @staticmethod
    def apply_alike(images: Tensor, columns: Tensor) -> Tensor:
        return channels.drop(images, columns[:, 0])
