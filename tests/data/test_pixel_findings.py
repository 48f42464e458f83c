"""Each code of findings about pixels: found where it should be, not flagged next to it, nor for ordinary images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data import corpus_colours, corpus_pixels
from data.corpus_pixels import Case, colour
from data.image_files import dng, saved
from twofold.data import ImageSet, formats, load_images
from twofold.data.pixel_checks import PIXEL_CHECKS
from twofold.recipes.recipe import DataRecipe

BY_NAME = {case.name: case for case in (*corpus_pixels.CASES, *corpus_colours.CASES)}
PREVIEW = Case("RAW", lambda: dng(saved(Image.fromarray(colour()), "JPEG")))

# code -> (a file for which it is found, one near to it for which it is not, one of a format that knows no such thing)
FILES = {
    "TF060": ("PNG with a wide profile", "a profile of another kind", "JPEG, all"),
    "TF061": ("a damaged profile", "PNG with a wide profile", "JPEG, all"),
    "TF062": ("TIFF CMYK", "TIFF RGB", "JPEG, all"),
    "TF063": ("TIFF with transparency", "TIFF, transparent everywhere", "JPEG, all"),
    "TF064": ("TIFF with near-infrared marked 2", "TIFF with transparency", "JPEG, all"),
    "TF065": ("RAW", "JPEG, all", "PNG grey"),
    "TF066": ("JPEG, half of it", "JPEG without its end marker", "PNG grey"),
    "TF067": ("some that are no numbers", "TIFF <f4 of 1 bands", "PNG grey"),
    "TF068": ("TIFF, 12 bits in 16", "TIFF grey", "JPEG, all"),
    "TF071": ("TIFF of two pages", "TIFF, a thumbnail first", "JPEG, all"),
    "TF073": ("PNG: code points of PQ", "PNG: code points of P3, sRGB below", "JPEG, all"),
    "TF069": ("TIFF, grey of 16 bits with a profile", "TIFF of 16 bits with a linear profile", "JPEG, all"),
}


def load(case: Case, folder: Path) -> ImageSet:
    """A folder of the file and an ordinary image."""
    folder.mkdir()
    extension = next((end for end in ("TIFF", "PNG", "JPEG", "RAW") if case.name.startswith(end)), "PNG")
    name = {"TIFF": "a.tif", "PNG": "a.png", "JPEG": "a.jpg", "RAW": "a.dng"}[extension]
    (folder / name).write_bytes(case.content())
    (folder / "b.png").write_bytes(saved(Image.fromarray(colour()), "PNG"))
    return load_images(folder, recipe=DataRecipe(), store_px=None, cache=folder.parent / "cache")


def codes(images: ImageSet) -> set[str]:
    return {finding.code for finding in images.findings} & set(PIXEL_CHECKS)


def test_every_code_has_its_files() -> None:
    assert {*FILES, "TF072", "TF074", "TF075"} == set(PIXEL_CHECKS)  # by a setting, or of files set aside: below


def test_tf075_images_of_nodata_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    some = np.where(np.eye(9), np.arange(9), np.nan)
    for name, values in (("a", np.full((9, 9), np.nan)), ("b", np.eye(9)), ("c", some)):
        Image.fromarray(values.astype(np.float32)).save(tmp_path / "data" / f"{name}.tif")
    recipe = DataRecipe(range=(0.0, 9.0))
    images = load_images(tmp_path / "data", recipe=recipe, store_px=None, cache=tmp_path / "cache")
    texts = [finding.text for finding in images.findings if finding.code == "TF075"]
    assert texts == ["1 image with nothing but nodata, set aside: a.tif"]


def test_tf072_and_tf074_pages_that_are_channels_or_images(tmp_path: Path) -> None:
    due = []
    for name, pages, channels in (
        ("TIFF of two pages", "channels", 6),  # of three bands each
        ("TIFF of two pages", "images", 3),
        ("TIFF of two pages", "first", 3),
        ("JPEG, all", "channels", 3),
    ):
        folder = tmp_path / f"{name} {pages}"
        folder.mkdir()
        (folder / "image").with_suffix(".tif").write_bytes(BY_NAME[name].content())
        recipe = DataRecipe(channels=channels, pages=pages)
        images = load_images(folder, recipe=recipe, store_px=None, cache=tmp_path / "cache")
        due.append(codes(images) & {"TF072", "TF074"})
    assert due == [{"TF072"}, {"TF074"}, set(), set()]


@pytest.mark.parametrize("code", FILES)
def test_it_is_found_and_neither_next_to_it_nor_where_it_cannot_be(code: str, tmp_path: Path) -> None:
    if code == "TF065" and not formats.is_installed("rawpy"):
        pytest.skip("rawpy is not installed")
    case, *others = (BY_NAME.get(name, PREVIEW) for name in FILES[code])
    images = load(case, tmp_path / "with")
    assert code in codes(images)
    assert len(images) == 2
    assert any("pixels: 1 image " in finding.text for finding in images.findings if finding.code == code)
    for number, other in enumerate(others):
        assert code not in codes(load(other, tmp_path / f"other {number}"))


def test_ordinary_images_have_none(tmp_path: Path) -> None:
    for number, kind in enumerate(("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")):
        name = f"{number}.{kind.lower()}"
        (tmp_path / name).write_bytes(saved(Image.fromarray(np.roll(colour(), number, 1)), kind))
    images = load_images(tmp_path, recipe=DataRecipe(), store_px=None, cache=tmp_path.parent / "cache")
    assert len(images) == 6
    assert codes(images) == set()
