"""Data sets that are objects: every form of an image is the same image, labels get the names of their classes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Subset, TensorDataset

from data_objects import Pairs, pixels
from twofold.data import ImageSet, UnreadableError, as_given, load_images
from twofold.data.sources.dataset import DatasetSource
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe

IMAGES = pixels(6)
FORMS: dict[str, Any] = {
    "Pillow": Image.fromarray,
    "array": lambda image: image,
    "tensor": lambda image: torch.from_numpy(image).permute(2, 0, 1),
    "float": lambda image: torch.from_numpy(image).permute(2, 0, 1).float() / 255,
    "grey plane": lambda image: image[:, :, 0],
}


def opened(data: Any, cache: Path, **recipe: Any) -> ImageSet:
    return load_images(as_given(data, cache=cache), recipe=DataRecipe(**recipe), store_px=None, cache=cache)


@pytest.mark.parametrize("form", FORMS)
def test_images_in_any_form_are_stored_as_they_are(tmp_path: Path, form: str) -> None:
    found = opened(Pairs([FORMS[form](image) for image in IMAGES]), tmp_path)
    assert len(found) == 6
    assert found.labels == [None] * 6
    batch = found.read(np.arange(6))
    for image, canvas, (height, width) in zip(IMAGES, batch.images.numpy(), batch.sizes.tolist(), strict=True):
        expected = np.repeat(image[:, :, :1], 3, axis=2) if form == "grey plane" else image
        np.testing.assert_array_equal(canvas[:, :height, :width].transpose(1, 2, 0), expected)


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        ([0, 1, 0, 1, 1, 0], ["cat", "dog"], ["cat", "dog"]),
        ([np.int64(0), torch.tensor(1), 0, 1, 1, 0], None, ["0", "1"]),
        (["dog", "cat", "cat", "dog", "dog", "cat"], None, ["cat", "dog"]),
        ([0.0, 1.0, 0.0, 1.0, 0.0, 1.0], [("tench", "Tinca"), ("shark",)], ["shark", "tench"]),
        ([0, 1, 1, 0, 1, 0], ["one"], ["1", "one"]),
    ],
)
def test_labels_are_classes_by_name(tmp_path: Path, labels: list[Any], classes: Any, expected: list[str]) -> None:
    assert opened(Pairs(IMAGES, labels, classes), tmp_path, test_fraction=0.0).classes == expected


def test_none_nan_and_minus_one_are_no_label(tmp_path: Path) -> None:
    found = opened(Pairs(IMAGES, [0, None, 1, -1, float("nan"), 1]), tmp_path, test_fraction=0.0)
    assert found.labels == ["0", None, "1", None, None, "1"]


def test_a_subset_keeps_the_names_of_its_classes(tmp_path: Path) -> None:
    whole = Pairs(IMAGES, [0, 1, 0, 1, 1, 0], ["cat", "dog"])
    assert opened(Subset(whole, [1, 2, 3]), tmp_path, test_fraction=0.0).labels == ["dog", "cat", "dog"]


def test_labels_that_name_no_class_are_said_and_not_used(tmp_path: Path) -> None:
    found = opened(Pairs(IMAGES, [{"boxes": []}] * 6), tmp_path)
    assert found.labels == [None] * 6
    assert any("of the type dict, which names no class" in text for text in found.stated)
    found = opened(Pairs(IMAGES, [float("inf"), 1.5, 0, 0, 0, 0]), tmp_path)
    assert any("of the type float, which names no class" in text for text in found.stated)


def test_a_batch_as_a_tensor_data_set(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    found = opened(TensorDataset(images, torch.tensor([0, 1, 0, 1])), tmp_path, test_fraction=0.0)
    assert torch.equal(found.read(np.arange(4)).images, images)
    assert torch.equal(opened(images, tmp_path).read(np.arange(4)).images, images)


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    """Also where the objects are others: after a restart the store is found, and nothing is decoded again."""
    first = opened(Pairs(IMAGES), tmp_path)
    segments = sorted((tmp_path / "decoded").rglob("*.pixels"))
    assert opened(Pairs([image.copy() for image in IMAGES]), tmp_path).fingerprint == first.fingerprint
    assert opened(Pairs([Image.fromarray(image) for image in IMAGES]), tmp_path).fingerprint == first.fingerprint
    assert sorted((tmp_path / "decoded").rglob("*.pixels")) == segments
    changed = [image.copy() for image in IMAGES]
    changed[5][0, 0, 0] ^= 1
    assert opened(Pairs(changed), tmp_path).fingerprint != first.fingerprint
    assert opened(Pairs(IMAGES[::-1]), tmp_path).fingerprint != first.fingerprint


def test_items_that_cannot_be_read_are_set_aside(tmp_path: Path) -> None:
    odd: list[Any] = [*IMAGES, np.full((8, 8, 3), 2.5), (1, 2, 3), {"pixels": 1}, 7]
    found = opened(Pairs(odd), tmp_path, max_unreadable_fraction=0.5)
    assert len(found) == 6
    reasons = [one.reason for one in found.quarantine]
    assert [one.path for one in found.quarantine] == ["06", "07", "08", "09"]
    for reason, words in zip(reasons, ("float in [0, 1]", "3 parts", "'image'", "type int"), strict=True):
        assert words in reason


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (Pairs([]), "'Pairs' is empty"),
        (Pairs([np.zeros((8, 8, 3)) + 3]), r"none of .*1 files .*in 'Pairs' .*float64 from 3 to 3.*in \[0, 1\]"),
    ],
)
def test_data_without_an_image_are_one_clear_error(tmp_path: Path, data: Any, words: str) -> None:
    with pytest.raises(TwofoldError, match=words):
        opened(data, tmp_path)


class Random(Pairs):
    def __getitem__(self, index: int) -> Any:
        return np.roll(super().__getitem__(index), self.reads, axis=0)


def test_a_data_set_with_random_transforms_is_refused() -> None:
    with pytest.raises(TwofoldError, match="item 0 of the data 'Random' is another image when it is read again"):
        as_given(Random(IMAGES))


def test_one_thread_at_a_time_reads_it() -> None:
    """An open HDF5 file or a database bears no two."""
    import threading

    inside, most = [0], [0]

    class Fragile(Pairs):
        def __getitem__(self, index: int) -> Any:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            try:
                return super().__getitem__(index)
            finally:
                inside[0] -= 1

    source = DatasetSource(Fragile(IMAGES * 20), "fragile")
    threads = [threading.Thread(target=lambda: [source.read(i) for i in range(120)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    with pytest.raises(UnreadableError):
        DatasetSource(Pairs([IMAGES[0], "text"]), "two").read(1)
