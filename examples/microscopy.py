"""An augmentation of your own: a stain that varies from slide to slide, for microscopy-like images.

python examples/microscopy.py        trains on made-up images in a few seconds and leaves a run in runs/microscopy
twofold pretrain IMAGES --out RUN --ops policy microscopy:Stain@0.8        the same augmentation on the command line
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

import twofold


class Stain:
    """Optical densities of the three colour channels, each scaled and shifted a little, as between two stainings.

    Light passes tissue as exp(-density), so density = -log(intensity): a stronger stain multiplies it.
    """

    name = "stain"

    def __init__(self, scale: float = 0.3, shift: float = 0.05) -> None:
        self.scale, self.shift = scale, shift

    def draw(self, m: int, generator: Generator) -> tuple[Tensor, Tensor]:
        scale = 1 + self.scale * (2 * torch.rand(m, 3, generator=generator) - 1)
        shift = self.shift * (2 * torch.rand(m, 3, generator=generator) - 1)
        return scale, shift

    def apply(self, images: Tensor, values: tuple[Tensor, Tensor]) -> Tensor:
        scale, shift = (one[:, :, None, None] for one in values)
        density = -images.clamp(min=1 / 255).log()
        return (-(density * scale + shift)).exp()


def write_images(folder: Path, count: int = 96, size_px: int = 48) -> Path:
    """Made-up fields of view: dark round nuclei on pink tissue, their number, size and darkness other in each."""
    random, y_x = np.random.default_rng(0), np.mgrid[:size_px, :size_px]
    for number in range(count):
        many, radius, dark = random.integers(2, 16), random.uniform(2, 9), random.uniform(0.2, 0.8)
        pixels = np.full((size_px, size_px, 3), (230, 180, 205.0)) + random.normal(0, 6, (size_px, size_px, 3))
        for centre in random.uniform(0, size_px, (many, 2)):
            inside = ((y_x - centre[:, None, None]) ** 2).sum(axis=0) < radius**2
            pixels[inside] = (1 - dark) * np.array((230, 180, 205.0)) + dark * np.array((60, 20, 110.0))
        kind = "large" if radius > 5 else "small"
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / kind / f"{number:03}.png")
    return folder


def main(images: Path, out: Path, epochs: float = 12.0) -> None:
    """No direction is up under a microscope: flips both ways, any turn. The stain does what a strong jitter would."""
    twofold.pretrain(
        images,
        out=out,
        recipe="photos",
        ops=("policy", twofold.Op(augmentation=Stain(), prob=0.8)),
        vertical_flip_prob=0.5,
        rotate_degrees=180.0,
        jitter=(0.1, 0.1, 0.1, 0.02),
        grayscale_prob=0.0,
        crop_area=(0.5, 1.0),
        size_px=32,
        width=0.25,
        batch_size=24,
        base_lr=0.5,
        epochs=epochs,
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(write_images(Path(folder)), Path("runs/microscopy"))
