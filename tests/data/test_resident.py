"""Images on the device give the batches that are read from the host, bit for bit, and nobody waits."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pretend_cuda import CUDA, Device, pretended_cuda
from twofold.data import ImageSet, Loader, load_images, resident
from twofold.data.resident import place_images
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe

COUNT, GIB = 20, 2**30
CPU = torch.device("cpu")


@pytest.fixture
def gpu() -> Iterator[Device]:
    with pretended_cuda() as device:
        yield device


def load(folder: Path, *, mixed: bool = False) -> ImageSet:
    draw = np.random.default_rng(0)
    (folder / "images").mkdir()
    for number in range(COUNT):
        pixels = draw.integers(0, 256, (6, 7 + (mixed and number % 3), 3), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number:02d}.png")
    return load_images(folder / "images", recipe=DataRecipe(), store_px=None, cache=folder / "cache")


@pytest.mark.parametrize("at_once", [3, 2048])
def test_batches_are_those_of_the_host_and_nobody_waits(
    gpu: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(resident, "_AT_ONCE", at_once)
    images, rows = load(tmp_path), np.arange(2, COUNT)  # not all of them
    there = place_images(images, rows, CUDA, memory=80 * GIB, asked=None)
    assert there is not None
    assert (len(there), there.bytes) == (18, 18 * 3 * 6 * 7)
    own = np.array([4, 0, 3])  # of this process, in each batch of 5
    how = {"batch_size": 5, "seed": 3, "first_step": 2, "last_step": 9, "positions": own}
    read = list(Loader(images, rows, **how))  # type: ignore[arg-type]
    gpu.waits.clear()
    loader = Loader(images, rows, **how, resident=there)  # type: ignore[arg-type]
    gathered = list(loader)
    assert not gpu.waits
    assert loader.wait_s == 0
    assert len(gathered) == len(read) == len(loader) == 7
    for one, other in zip(gathered, read, strict=True):
        assert one.images.device == CUDA
        assert one.sizes.device == CPU
        assert torch.equal(one.images.cpu(), other.images)
        assert torch.equal(one.sizes, other.sizes)


def test_only_what_leaves_room_for_training_lies_there(gpu: Device, tmp_path: Path) -> None:
    images, rows = load(tmp_path), np.arange(COUNT)
    taken = COUNT * 3 * 6 * 7
    for memory, there in ((taken / 0.4 - 1, False), (taken / 0.4 + 3, True)):
        assert (place_images(images, rows, CUDA, memory=int(memory), asked=None) is not None) is there
    assert place_images(images, rows, CUDA, memory=80 * GIB, asked=False) is None
    assert place_images(images, rows, CUDA, memory=1, asked=True) is not None, "where it is asked for, memory decides"
    assert place_images(images, rows, CPU, memory=None, asked=None) is None


def test_images_of_several_sizes_stay_on_the_host(gpu: Device, tmp_path: Path) -> None:
    images, rows = load(tmp_path, mixed=True), np.arange(COUNT)
    assert place_images(images, rows, CUDA, memory=80 * GIB, asked=None) is None
    with pytest.raises(TwofoldError, match="resident is True, but the images have several sizes"):
        place_images(images, rows, CUDA, memory=80 * GIB, asked=True)
    one_size = np.flatnonzero((images.pixels.sizes == images.pixels.sizes[0]).all(axis=1))
    assert 0 < len(one_size) < COUNT
    assert place_images(images, one_size, CUDA, memory=80 * GIB, asked=None) is not None, "of the rows that train"


def test_asked_for_on_a_cpu_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TwofoldError, match="resident is True, but 'cpu' has no memory of its own"):
        place_images(load(tmp_path), np.arange(COUNT), CPU, memory=None, asked=True)


def test_too_little_memory_is_one_sentence(gpu: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = load(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    monkeypatch.setattr(torch, "empty", full)
    with pytest.raises(TwofoldError, match=r"20 images of 7 x 6 px on 'cuda:0'.*Give --resident False"):
        place_images(images, np.arange(COUNT), CUDA, memory=80 * GIB, asked=True)
