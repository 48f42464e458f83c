"""Data as Python hands them over: each form is known by what it offers, and what is none is one clear error."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import IterableDataset

from data_objects import HuggingFace, Pairs, pixels
from pictures import write_pictures
from twofold.data import Finding, Record, Source, as_given, is_object, load_images
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe

IMAGES = pixels(4)


class Slides:
    """A source of the user's own."""

    name = "slides"

    def __init__(self, images: list[np.ndarray], split: str | None = None) -> None:
        self._images = images
        self.records = [Record(path=f"slide-{i}", label="ab"[i % 2], split=split) for i in range(len(images))]
        self.findings: list[Finding] = []

    def stamp(self) -> str:
        return "c0ffee"

    def open(self, index: int) -> Image.Image:
        return self.read(index)

    def read(self, index: int) -> Image.Image:
        return Image.fromarray(self._images[index])


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(IMAGES)


def test_paths_and_names_stay_what_they_are(tmp_path: Path) -> None:
    assert as_given("CIFAR10") == "CIFAR10"
    assert as_given(tmp_path) == str(tmp_path)


def test_a_source_of_ones_own_is_taken_as_it_is(tmp_path: Path) -> None:
    source = Slides(IMAGES)
    assert isinstance(source, Source)
    given = as_given(source)
    assert given is source
    found = load_images(given, recipe=DataRecipe(test_fraction=0.0), store_px=None, cache=tmp_path)
    assert found.paths == [f"slide-{i}" for i in range(4)]
    assert found.classes == ["a", "b"]


def test_parts_become_splits(tmp_path: Path) -> None:
    write_pictures(tmp_path / "held out", per_class=2)
    parts = {"Training": Pairs(IMAGES, [0, 1, 0, 1]), "val": Slides(IMAGES[:2]), "test": tmp_path / "held out"}
    given = as_given(parts, cache=tmp_path / "cache")
    assert isinstance(given, Source)
    found = load_images(given, recipe=DataRecipe(), store_px=None, cache=tmp_path / "cache")
    assert found.splits == ["train"] * 4 + ["validation"] * 2 + ["test"] * (len(found) - 6)
    assert found.paths[0] == "train/0"
    assert found.paths[4] == "validation/slide-0"
    assert found.test_from == "own"
    np.testing.assert_array_equal(found.read(np.array([4])).images[0].numpy().transpose(1, 2, 0), IMAGES[0])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "data is None of the type NoneType.*a data set with len"),
        (3, "data is 3 of the type int"),
        (b"folder", "of the type bytes"),
        (["a.png", "b.png"], "of the type list"),
        ([], "of the type list"),
        (Endless(), "of the type Endless.*len"),
        (Pairs, "of the type type"),
        ({}, "is an empty dict"),
        ({"train": Pairs(IMAGES), "extra": Pairs(IMAGES)}, "has the keys train, extra.*Rename 'extra'"),
        ({"val": Pairs(IMAGES), "valid": Pairs(IMAGES)}, "one for each split.*Rename 'valid'"),
        ({"train": 3}, r"data\['train'\] is 3 of the type int"),
        ({"train": Slides(IMAGES, "test")}, "given as 'train' .slides. have the splits test"),
    ],
)
def test_anything_else_is_one_clear_error(value: Any, words: str) -> None:
    with pytest.raises(TwofoldError, match=words) as caught:
        as_given(value)
    assert "\n" not in str(caught.value)


def test_one_object_is_told_from_several() -> None:
    one = (Pairs(IMAGES), Slides(IMAGES), {"train": Pairs(IMAGES)}, HuggingFace.of(IMAGES, [0] * 4, ["a"]))
    assert all(map(is_object, one))
    assert not any(map(is_object, ("CIFAR10", Path("x"), ["a", "b"], (Pairs(IMAGES),), 3, None, np.array(["a"]))))


def test_its_name_is_what_it_calls_itself() -> None:
    named = Pairs(IMAGES)
    assert as_given(named).name == "Pairs"  # type: ignore[union-attr]
    named.name = "wards"  # type: ignore[attr-defined]
    assert str(as_given(named)) == "wards"
