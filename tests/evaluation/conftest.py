"""Image sets made of arrays, and machines and encoders small enough to see through."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from twofold.data import Finding, ImageSet
from twofold.data.pixels import Pixels
from twofold.evaluation.scope import Settings
from twofold.recipes.recipe import ViewsRecipe

SIDE = 8


@dataclass(frozen=True)
class Machine:
    """The least that embedding asks for."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext()


class Flat(nn.Module):
    """h = the pixels themselves, after a batch norm that does nothing in evaluation mode."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.dim = channels * SIDE**2
        self.norm = nn.BatchNorm2d(channels, eps=1e-12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x).flatten(1)


class Blind(nn.Module):
    """h = the same pixels through fixed random weights: what fresh weights make of them."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(SIDE**2, 5, generator=torch.Generator().manual_seed(seed)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1) @ self.weight


@pytest.fixture(scope="module")
def few_decays() -> Iterator[None]:
    """Few labels choose among two strengths of weight decay: most of the time goes into such fits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("twofold.evaluation.linear_probe"), "FEW_L2_GRID", (1e-1, 1e-2))
        yield


def settings_of(*, seeds: int = 1, few_seeds: int = 1, **others: Any) -> Settings:
    """So many seeds; all labels choose among three strengths of weight decay."""
    few = {"grid": (1e0, 1e-1, 1e-2), **others}
    return Settings(seeds=tuple(range(seeds)), few_seeds=tuple(range(few_seeds)), **few)


@pytest.fixture(scope="session")
def machine() -> Machine:
    return Machine()


@pytest.fixture(scope="session")
def views() -> ViewsRecipe:
    """The central view is the image itself."""
    return ViewsRecipe(size_px=SIDE, policy="small", eval_crop_fraction=1.0)


@pytest.fixture
def make_images(tmp_path: Path) -> Callable[..., ImageSet]:
    """images (n, c, h, w) uint8, labels, splits -> ImageSet."""
    return maker(tmp_path)


def maker(folder: Path) -> Callable[..., ImageSet]:
    made: list[Path] = []

    def make(pictures: np.ndarray, labels: Sequence[str | None], splits: Sequence[str]) -> ImageSet:
        path = folder / f"pixels{len(made)}"
        made.append(path)
        path.write_bytes(np.ascontiguousarray(pictures).tobytes())
        n, channels, height, width = pictures.shape
        return ImageSet(
            name="made",
            channels=channels,
            fingerprint="f",
            paths=[f"{split}/{row:04d}" for row, split in enumerate(splits)],
            labels=list(labels),
            splits=list(splits),
            quarantine=[],
            findings=[Finding("TF004", "made by hand")],
            pixels=Pixels(path, np.tile(np.array([height, width]), (n, 1)), channels),
        )

    return make


@pytest.fixture(scope="session")
def separable(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """3 classes, 60 train and 30 test images; a class is a bright row of its own; classes and splits interleaved."""
    make_images = maker(tmp_path_factory.mktemp("separable"))
    return make_images(*bright_rows(90), ["test" if row % 3 == 1 else "train" for row in range(90)])


@pytest.fixture
def plenty(make_images: Callable[..., ImageSet]) -> ImageSet:
    """900 such images, every other one for test: enough to tell chance from more."""
    return make_images(*bright_rows(900), ["train", "test"] * 450)


def bright_rows(n: int) -> tuple[np.ndarray, list[str]]:
    draw = np.random.default_rng(0)
    ids = draw.permutation(np.repeat(np.arange(3), n // 3 + 1))[:n]
    for start in (0, 1, 2):  # every third image: a balanced draw of its own
        ids[start::3] = draw.permutation(np.arange(len(ids[start::3])) % 3)
    pictures = draw.integers(0, 60, (n, 1, SIDE, SIDE)).astype(np.uint8)
    pictures[np.arange(n), 0, 2 * ids + 1] += 150
    return pictures, [("cherry", "apple", "banana")[i] for i in ids]


@pytest.fixture(scope="session")
def new_flat() -> Callable[[], Flat]:
    return Flat


@pytest.fixture
def flat() -> Flat:
    return Flat()


@pytest.fixture(scope="session")
def blind() -> Callable[[int], nn.Module]:
    return Blind
