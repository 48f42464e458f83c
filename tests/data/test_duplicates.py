"""Copies between train and test, and copies with two labels."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pictures import picture, write_pictures
from twofold.data import ImageSet, Shared, count_shared, load_images
from twofold.data import duplicates as module
from twofold.data.pixels import Pixels
from twofold.recipes.recipe import DataRecipe


def made(path: Path, pictures: Sequence[np.ndarray], labels: Sequence[str | None]) -> ImageSet:
    """Images (c, height, width) uint8 of any sizes as an image set."""
    path.write_bytes(b"".join(np.ascontiguousarray(one).tobytes() for one in pictures))
    sizes = np.array([one.shape[1:] for one in pictures], np.int64)
    count = len(pictures)
    return ImageSet(
        name="made",
        channels=pictures[0].shape[0],
        fingerprint="f",
        paths=[str(row) for row in range(count)],
        labels=list(labels),
        splits=["train"] * count,
        quarantine=[],
        findings=[],
        pixels=Pixels(path, sizes, pictures[0].shape[0]),
    )


def slow_count(pictures: Sequence[np.ndarray], labels: Sequence[str | None], train: range, test: range) -> Shared:
    """Every pair, compared."""
    same = [[a.shape == b.shape and bool((a == b).all()) for b in pictures] for a in pictures]
    return Shared(
        train=len(train),
        test=len(test),
        test_also_in_train=sum(any(same[i][j] for j in train) for i in test),
        conflicting_labels=sum(
            any(same[i][j] and None not in (labels[i], labels[j]) and labels[i] != labels[j] for j in train)
            for i in train
        ),
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_counts_are_those_of_every_pair(tmp_path: Path, seed: int) -> None:
    draw = np.random.default_rng(seed)
    shapes = [(1, 2), (2, 1), (2, 2), (1, 1)]  # few bytes of two values: many copies
    pictures = [draw.integers(0, 2, (1, *shapes[i])).astype(np.uint8) for i in draw.integers(0, 4, 60)]
    labels = [(None, "a", "b", "c")[i] for i in draw.choice(4, 60, p=(0.3, 0.5, 0.1, 0.1))]
    images = made(tmp_path / "pixels", pictures, labels)
    found = count_shared(images, np.arange(12), np.arange(12, 60))
    assert found == slow_count(pictures, labels, range(12), range(12, 60))
    assert 0 < found.test_also_in_train < 48


@pytest.fixture
def distinct(tmp_path: Path) -> ImageSet:
    return made(tmp_path / "distinct", [np.full((1, 3, 3), i, np.uint8) for i in range(40)], ["a", "b"] * 20)


def test_distinct_pictures_share_nothing(distinct: ImageSet) -> None:
    assert count_shared(distinct, np.arange(20), np.arange(20, 40)) == Shared(
        train=20, test=20, test_also_in_train=0, conflicting_labels=0
    )


def test_one_changed_pixel_is_another_picture(tmp_path: Path) -> None:
    one = picture("bars", 0).transpose(2, 0, 1)
    other = one.copy()
    other[2, -1, -1] ^= 1
    for second, count in ((one, 1), (other, 0)):
        images = made(tmp_path / f"pixels{count}", [one, second], ["a", "a"])
        assert count_shared(images, np.array([0]), np.array([1])).test_also_in_train == count


def test_the_same_bytes_in_another_shape_are_another_picture(tmp_path: Path) -> None:
    content = np.arange(12, dtype=np.uint8)
    images = made(tmp_path / "pixels", [content.reshape(1, 3, 4), content.reshape(1, 4, 3)], ["a", "b"])
    assert count_shared(images, np.array([0]), np.array([1])).test_also_in_train == 0
    assert count_shared(images, np.array([0, 1]), np.array([], np.int64)).conflicting_labels == 0


@pytest.fixture
def padded(tmp_path: Path) -> ImageSet:
    """A copy that shares its batch with a large image and so lies on a larger canvas, and one that differs from the
    first image only by black pixels where the canvas is padded."""
    small = np.full((3, 4, 4), 7, np.uint8)
    black = np.zeros((3, 4, 6), np.uint8)
    black[:, :, :4] = 7
    return made(tmp_path / "padded", [small, small, np.ones((3, 9, 9), np.uint8), black], ["a"] * 4)


def test_what_pads_a_canvas_does_not_count(padded: ImageSet) -> None:
    assert count_shared(padded, np.array([0]), np.array([1, 2, 3])).test_also_in_train == 1


def test_a_padded_comparison_would_be_seen(padded: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    def whole_canvas(images: ImageSet, rows: np.ndarray) -> list[bytes]:
        return [canvas.numpy().tobytes() for canvas in images.read(rows).images]

    monkeypatch.setattr(module, "pixel_digests", whole_canvas)
    assert count_shared(padded, np.array([0]), np.array([1, 2, 3])).test_also_in_train == 0


def test_all_pictures_of_a_conflict_count_and_unlabelled_ones_do_not(tmp_path: Path) -> None:
    pixels = [np.full((1, 2, 2), value, np.uint8) for value in (1, 1, 1, 2, 2, 1)]
    images = made(tmp_path / "pixels", pixels, ["a", "b", "a", "a", "a", None])
    assert count_shared(images, np.arange(6), np.array([], np.int64)).conflicting_labels == 3
    assert count_shared(images, np.array([0, 2, 3, 4]), np.array([1])).conflicting_labels == 0  # only within train


def test_it_finds_a_copy_in_another_format_in_a_folder(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "data", per_class=20, splits=("train", "test"))
    Image.open(folder / "train" / "bars" / "003.png").save(folder / "test" / "discs" / "copy.webp", lossless=True)
    Image.open(folder / "train" / "bars" / "004.png").save(folder / "train" / "discs" / "copy.bmp")
    images = load_images(folder, recipe=DataRecipe(), store_px=64, cache=tmp_path / "cache")
    found = count_shared(images, images.rows("train"), images.rows("test"))
    assert found == Shared(train=61, test=61, test_also_in_train=1, conflicting_labels=2)


def test_reads_are_small_and_every_row_is_read_once(distinct: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[np.ndarray] = []
    real = Pixels.read
    monkeypatch.setattr(Pixels, "read", lambda self, rows, **how: read.append(rows) or real(self, rows, **how))
    count_shared(distinct, np.arange(21), np.arange(21, 40))
    assert max(len(rows) for rows in read) <= 16
    assert np.concatenate(read).tolist() == list(range(40))


def test_sixty_thousand_small_pictures_take_seconds(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60_000, 3, 32, 32), np.uint8)
    pixels[59_000:] = pixels[:1000]
    images = made(tmp_path / "pixels", list(pixels), ["a"] * 60_000)
    began = time.process_time()
    found = count_shared(images, np.arange(50_000), np.arange(50_000, 60_000))
    assert time.process_time() - began < 20.0  # about 1 s; the slack is for a busy machine
    assert found.test_also_in_train == 1000


def test_the_sentences() -> None:
    clean = Shared(train=60, test=30, test_also_in_train=0, conflicting_labels=0).sentences()
    assert clean == [
        "test images that train holds too, pixel for pixel: none of 30 "
        "(copies that were re-saved or resized are not found)"
    ]
    copies, conflicts = Shared(train=5000, test=1000, test_also_in_train=12, conflicting_labels=1500).sentences()
    assert "12 of 1,000 (1.20%)" in copies
    assert "1,500 of 5,000 (30.00%)" in conflicts
