"""lightly's loop: as its documentation writes it, and with everything chosen by hand that Twofold's recipes choose.

From the SimCLR example of lightly 1.6: torchvision's ResNet without its last layer, SimCLRProjectionHead, NTXentLoss()
with its temperature of 0.5, SGD with lr 0.06, SimCLRTransform with its normalisation, a DataLoader with workers. The
two views go through the model one after the other, as there.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from twofold.models import build_encoder
from twofold.recipes.recipe import Recipe

WORKERS = 2
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Loop:
    """`step()` trains on the next batch; epochs of `images` follow one another. `fast`: bf16 and channels-last."""

    def __init__(
        self,
        encoder: nn.Module,
        dim: int,
        batches: Any,
        *,
        fast: bool,
        temperature: float = 0.5,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        from lightly.loss import NTXentLoss
        from lightly.models.modules import SimCLRProjectionHead

        self.encoder, self.head, self.fast = encoder, SimCLRProjectionHead(dim, dim, 128), fast
        if fast:
            self.encoder.to(memory_format=torch.channels_last)
        self.images, self._batches = len(batches.dataset), batches
        self._loss = NTXentLoss(temperature)
        parameters = [*self.encoder.parameters(), *self.head.parameters()]
        self._optimizer = torch.optim.SGD(parameters, lr=0.06, momentum=momentum, weight_decay=weight_decay)
        self._endless = self._forever()

    def step(self, rate: float | None = None) -> float:
        """The loss of a step at a learning rate (None: the documented one)."""
        if rate is not None:
            self._optimizer.param_groups[0]["lr"] = rate
        views = next(self._endless)[0]
        with torch.autocast("cpu", torch.bfloat16, enabled=self.fast):
            z = [self.head(self._encode(view)) for view in views]
        loss = self._loss(z[0].float(), z[1].float())
        loss.backward()
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss.item()

    def _encode(self, view: Tensor) -> Tensor:
        return self.encoder(view.contiguous(memory_format=torch.channels_last) if self.fast else view)

    def _forever(self) -> Iterator[Any]:
        while True:
            yield from self._batches


def documented(
    folder: Path, *, encoder: str, stem: str, size_px: int, batch_size: int, blur: bool, fast: bool = False
) -> Loop:
    """torchvision's network by its name and all else as documented; `fast` alone is set by hand."""
    network = torchvision.models.get_model(encoder)
    if stem == "small":
        network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        network.maxpool = nn.Identity()
    dim, network.fc = network.fc.in_features, nn.Identity()
    views = {"input_size": size_px, "gaussian_blur": 0.5 if blur else 0.0}
    return Loop(network, dim, _batches(folder, batch_size, views), fast=fast)


def tuned(folder: Path, recipe: Recipe) -> Loop:
    """The recipe's encoder, views, batch size, temperature, momentum and weight decay; bf16 and channels-last."""
    encoder = build_encoder(recipe.encoder, channels=recipe.data.channels)
    views = {
        "input_size": recipe.views.size_px,
        "gaussian_blur": 0.5 if recipe.views.policy == "simclr" else 0.0,
        "cj_strength": recipe.views.strength,
        "min_scale": recipe.views.crop_area[0],
    }
    return Loop(
        encoder,
        encoder.dim,
        _batches(folder, recipe.schedule.batch_size, views),
        fast=True,
        temperature=recipe.loss.temperature,
        momentum=recipe.optim.momentum,
        weight_decay=recipe.optim.weight_decay,
    )


def _batches(folder: Path, batch_size: int, views: dict[str, Any]) -> Any:
    from lightly.data import LightlyDataset
    from lightly.transforms import SimCLRTransform

    return torch.utils.data.DataLoader(
        LightlyDataset(str(folder), transform=SimCLRTransform(**views)),
        batch_size=batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=WORKERS,
        persistent_workers=True,
    )


class Normalised(nn.Module):
    """An encoder of images in [0, 1] from one that was trained on normalised ones."""

    mean: Tensor
    std: Tensor

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder((x - self.mean) / self.std)
