"""An encoder and a data set of your own: a small vision transformer, on images that are made as they are asked for.

python examples/own_encoder.py        pretrains, measures and embeds in a few seconds; leaves a run in runs/own_encoder
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

import twofold


class Transformer(nn.Module):
    """Patches, a position each, two layers of attention, their mean: (n, 3, 32, 32) in [0, 1] -> (n, dim)."""

    def __init__(self, dim: int = 32) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, dim, kernel_size=8, stride=8)
        self.positions = nn.Parameter(0.02 * torch.randn(16, dim))
        layer = nn.TransformerEncoderLayer(dim, nhead=4, dim_feedforward=64, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, num_layers=2)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.positions
        return self.layers(tokens).mean(dim=1)


class Textures(Dataset[tuple[np.ndarray, int]]):
    """Images (32, 32, 3) of uint8 with their class: stripes, checks or grain, in any two colours."""

    classes = ("stripes", "checks", "grain")

    def __init__(self, count: int, seed: int = 0) -> None:
        self.count, self.seed = count, seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        random, (y, x) = np.random.default_rng((self.seed, index)), np.mgrid[:32, :32] + 0.5
        label, pitch = index % 3, random.uniform(3, 8)
        stripes, across = np.sin(np.pi * x / pitch) > 0, np.sin(np.pi * y / pitch) > 0
        mask = (stripes, stripes ^ across, random.random((32, 32)) > 0.5)[label]
        pixels = np.where(mask[..., None], *random.uniform(0, 255, (2, 3)))
        return pixels.astype(np.uint8), label


def main(out: Path) -> None:
    """The class makes the encoder anew, so it is given again to whatever reads the run."""
    twofold.pretrain(
        Textures(96),
        out=out,
        recipe=twofold.Recipe(),
        encoder=Transformer,
        optimizer=lambda groups: torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.05),
        policy="small",
        size_px=32,
        batch_size=32,
        epochs=4.0,
    )
    twofold.evaluate(out, data=Textures(60, seed=1), protocol="knn", shots=5, few_seeds=2, encoder=Transformer)
    loaded = twofold.load(out, encoder=Transformer)
    print(loaded.embed(Textures(1)[0][0]).shape)


if __name__ == "__main__":
    main(Path("runs/own_encoder"))
