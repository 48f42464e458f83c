"""Images that are decoded each time are those of the store, and nothing of them is kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

import twofold
from data.image_files import png
from pictures import write_pictures
from small_recipe import SMALL
from twofold.data import ImageSet, load_images, pixels
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe


def load(folder: Path, decode: str, **settings: Any) -> ImageSet:
    return load_images(
        folder,
        recipe=DataRecipe(decode=decode, max_unreadable_fraction=0.5, **settings),
        store_px=16,
        cache=folder.parent / decode,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """JPEGs of several sizes, some turned, images of 16 bits, and files that are no images."""
    folder, draw = write_pictures(tmp_path / "data", per_class=3), np.random.default_rng(0)
    for number in range(6):
        image = Image.fromarray(draw.integers(0, 256, (40 + 9 * number, 70, 3), np.uint8))
        exif = Image.Exif()
        exif[274] = number + 1
        image.save(folder / f"{number}.jpg", exif=exif)
    (folder / "deep.png").write_bytes(png(draw.integers(0, 4096, (20, 30, 1), np.uint16)))
    (folder / "broken.png").write_bytes(b"no image")
    return folder


@pytest.mark.parametrize("pinned", [False, True])
def test_they_are_those_of_the_store(folder: Path, pinned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    filled = lambda shape: torch.full(shape, 0xAB, dtype=torch.uint8)  # noqa: E731  # as page-locked memory is
    monkeypatch.setattr(pixels, "page_locked", filled)
    monkeypatch.setattr("twofold.data.file_pixels.page_locked", filled)
    once, each = load(folder, "once"), load(folder, "each-time")
    assert (each.paths, each.labels, each.splits, each.range) == (once.paths, once.labels, once.splits, once.range)
    assert [one.path for one in each.quarantine] == ["broken.png"]
    assert np.array_equal(each.pixels.sizes, once.pixels.sizes), "the headers tell the sizes"
    for rows in (np.arange(len(once)), np.array([5, 2, 2]), np.zeros(0, np.int64)):
        expected, batch = (one.read(rows, pinned=pinned) for one in (once, each))
        assert torch.equal(batch.images, expected.images)
        assert torch.equal(batch.sizes, expected.sizes)


def test_nothing_decoded_is_kept_and_headers_are_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(folder, "each-time")
    kept = [path for path in (folder.parent / "each-time").rglob("*") if path.is_file()]
    assert not [path for path in kept if path.suffix == ".pixels"]
    monkeypatch.setattr("twofold.data.file_pixels._header", lambda *_: pytest.fail("read again"))
    assert load(folder, "each-time").fingerprint == first.fingerprint


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", per_class=8)
    weights = []
    for decode in ("once", "each-time"):
        recipe = SMALL.with_settings(epochs=1.0, batch_size=8, decode=decode)
        twofold.pretrain(data, out=tmp_path / decode, recipe=recipe, cache=tmp_path / "cache")
        weights.append(safetensors.torch.load_file(tmp_path / decode / "encoder.safetensors"))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_file_that_is_broken_later_is_named(folder: Path) -> None:
    images = load(folder, "each-time")
    path = folder / images.paths[0]
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(TwofoldError, match=rf"'{images.paths[0]}' cannot be read.*--decode once"):
        images.read(np.array([0]))
