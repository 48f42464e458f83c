"""Hugging Face's data sets: a stand-in of what they offer, and the real ones where the package is installed."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.image_files import saved
from data_objects import ClassLabel, HuggingFace, Image_, pixels
from twofold.data import ImageSet, as_given, load_images
from twofold.data.sources.hugging_face import Rows
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe

IMAGES, LABELS, NAMES = pixels(6), [0, 1, 0, 1, -1, 0], ["cat", "dog"]
EXPECTED = ["cat", "dog", "cat", "dog", None, "cat"]


def opened(data: Any, cache: Path) -> ImageSet:
    recipe = DataRecipe(test_fraction=0.0)
    return load_images(as_given(data, cache=cache), recipe=recipe, store_px=None, cache=cache)


def require_images(found: ImageSet, labels: list[str | None] = EXPECTED) -> None:
    assert found.labels == labels
    batch = found.read(np.arange(6))
    for image, canvas, (height, width) in zip(IMAGES, batch.images.numpy(), batch.sizes.tolist(), strict=True):
        np.testing.assert_array_equal(canvas[:, :height, :width].transpose(1, 2, 0), image)


@pytest.mark.parametrize("column", ["image", "img", "photograph"])
def test_images_and_classes_come_from_their_columns(tmp_path: Path, column: str) -> None:
    found = opened(HuggingFace.of(IMAGES, LABELS, NAMES, column), tmp_path)
    require_images(found)
    assert found.name == "made_up"


def test_images_are_given_as_files_lie_so_that_threads_decode_them() -> None:
    content, label = Rows(HuggingFace.of(IMAGES, LABELS, NAMES))[1]
    assert isinstance(content, bytes)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), IMAGES[1])
    assert label == 1


def test_a_cell_may_name_a_file(tmp_path: Path) -> None:
    Image.fromarray(IMAGES[0]).save(tmp_path / "a.png")
    data = HuggingFace({"image": [{"bytes": None, "path": str(tmp_path / "a.png")}]}, {"image": Image_()})
    assert Rows(data)[0][0] == (tmp_path / "a.png").read_bytes()


def test_splits_are_those_of_a_dict(tmp_path: Path) -> None:
    parts = {"train": HuggingFace.of(IMAGES, LABELS, NAMES), "test": HuggingFace.of(IMAGES[:2], [1, 0], NAMES)}
    found = opened(parts, tmp_path)
    assert found.splits == ["train"] * 6 + ["test"] * 2
    assert found.labels == [*EXPECTED, "dog", "cat"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (HuggingFace({"text": ["a"]}, {"text": str}), "have the columns text, of which 0 hold images"),
        (
            HuggingFace({"left": [1], "right": [2]}, {"left": Image_(), "right": Image_()}),
            "columns left, right, of which 2 hold images.*Select or rename",
        ),
        (HuggingFace.of(IMAGES, LABELS, NAMES).with_format("custom"), r"transform on the fly.*with_format\(None\)"),
    ],
)
def test_what_is_not_clear_is_one_clear_error(data: Any, words: str) -> None:
    with pytest.raises(TwofoldError, match=words):
        as_given(data)


def test_of_several_columns_of_classes_none_is_guessed() -> None:
    features = {"image": Image_(), "coarse": ClassLabel(["a"]), "fine": ClassLabel(["b"])}
    cells = [{"bytes": b"x", "path": None}]
    data = HuggingFace({"image": cells, "coarse": [0], "fine": [0]}, features)
    assert Rows(data)[0] == (b"x", None)
    assert [finding.code for finding in as_given(data).findings] == ["TF027"]
    assert "others are coarse, fine" in as_given(data).findings[0].text
    del data.features["coarse"]
    assert Rows(data).classes == ["b"]


def test_fine_labels_are_taken_before_coarse_ones(tmp_path: Path) -> None:
    features = {"img": Image_(), "coarse_label": ClassLabel(["animal"]), "fine_label": ClassLabel(NAMES)}
    cells = [{"bytes": saved(Image.fromarray(image), "PNG"), "path": None} for image in IMAGES]
    found = opened(HuggingFace({"img": cells, "coarse_label": [0] * 6, "fine_label": LABELS}, features), tmp_path)
    require_images(found)
    assert "TF027" not in {finding.code for finding in found.findings}


def test_the_real_ones(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="Hugging Face's datasets is not installed")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)})
    columns = {"image": [Image.fromarray(image) for image in IMAGES], "label": LABELS}
    data = datasets.Dataset.from_dict(columns, features=features)
    require_images(opened(data, tmp_path / "a"))
    require_images(opened(data.with_format("torch"), tmp_path / "b"))
    parts = opened(datasets.DatasetDict({"train": data, "test": data.select([0, 1])}), tmp_path / "c")
    assert parts.splits == ["train"] * 6 + ["test"] * 2
    with pytest.raises(TwofoldError, match="transform on the fly"):
        as_given(data.with_transform(lambda rows: rows))
