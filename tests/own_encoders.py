"""Encoders as users bring them: one of torchvision, one of timm where it is installed, one written by hand."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchvision import models

from small_recipe import SMALL

RECIPE = SMALL.with_settings(size_px=16, batch_size=8, z_dim=8, width=1.0, stages=4, stem="imagenet")


class TinyViT(nn.Module):
    """Patches, one layer of attention, the class token: (n, 3, 16, 16) -> (n, 16)."""

    def __init__(self, dim: int = 16) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, dim, 8, stride=8)
        self.token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.position = nn.Parameter(torch.randn(1, 5, dim) * 0.02)
        self.layer = nn.TransformerEncoderLayer(dim, nhead=2, dim_feedforward=16, dropout=0.1, batch_first=True)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patches(images).flatten(2).transpose(1, 2)  # (n, 4, dim)
        tokens = torch.cat([self.token.expand(len(images), -1, -1), patches], dim=1) + self.position
        return self.layer(tokens)[:, 0]


def of_torchvision() -> nn.Module:
    """A network with batch norm and a map as its answer: (n, 3, 16, 16) -> (n, 24, 4, 4)."""
    return nn.Sequential(*list(models.shufflenet_v2_x0_5().children())[:2])


def of_timm() -> nn.Module:
    """A network of timm without its classifier."""
    import timm

    return timm.create_model("test_resnet", num_classes=0)


def sgd(groups: list[dict]) -> torch.optim.Optimizer:
    """The optimizer that they are trained with."""
    return torch.optim.SGD(groups, lr=0.05, momentum=0.9, weight_decay=1e-4)


ENCODERS: dict[str, Callable[[], nn.Module]] = {"hand-written": TinyViT, "torchvision": of_torchvision, "timm": of_timm}
