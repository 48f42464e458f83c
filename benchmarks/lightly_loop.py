"""lightly's loop as its documentation writes it, and the same with bf16 and channels-last set by hand.

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

WORKERS = 2
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Loop:
    """`step()` trains on the next batch; epochs follow one another."""

    def __init__(
        self, folder: Path, *, encoder: str, stem: str, size_px: int, batch_size: int, tuned: bool, blur: bool
    ) -> None:
        from lightly.data import LightlyDataset
        from lightly.loss import NTXentLoss
        from lightly.models.modules import SimCLRProjectionHead
        from lightly.transforms import SimCLRTransform

        network = torchvision.models.get_model(encoder)
        if stem == "small":
            network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
            network.maxpool = nn.Identity()
        dim, network.fc = network.fc.in_features, nn.Identity()
        self.encoder, self.head = network, SimCLRProjectionHead(dim, dim, 128)
        self.tuned, self.batch_size = tuned, batch_size
        if tuned:
            self.encoder.to(memory_format=torch.channels_last)
        transform = SimCLRTransform(input_size=size_px, gaussian_blur=0.5 if blur else 0.0)
        self._batches = torch.utils.data.DataLoader(
            LightlyDataset(str(folder), transform=transform),
            batch_size=batch_size,
            shuffle=True,
            drop_last=True,
            num_workers=WORKERS,
            persistent_workers=True,
        )
        self._loss = NTXentLoss()
        parameters = [*self.encoder.parameters(), *self.head.parameters()]
        self._optimizer = torch.optim.SGD(parameters, lr=0.06)
        self._endless = self._forever()

    def step(self) -> float:
        views = next(self._endless)[0]
        with torch.autocast("cpu", torch.bfloat16, enabled=self.tuned):
            z = [self.head(self._encode(view)) for view in views]
        loss = self._loss(z[0].float(), z[1].float())
        loss.backward()
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss.item()

    def _encode(self, view: Tensor) -> Tensor:
        return self.encoder(view.contiguous(memory_format=torch.channels_last) if self.tuned else view)

    def _forever(self) -> Iterator[Any]:
        while True:
            yield from self._batches


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
