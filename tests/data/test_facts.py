"""A look at headers."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from pictures import write_pictures
from twofold.data import Facts, load_images, look_at, open_source, require_channels
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe


def test_facts_of_a_labelled_folder(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "data", per_class=3, splits=("train", "test"))
    assert look_at(open_source(folder)) == Facts(
        count=18,
        channels=3,
        short_side_px=24,
        min_px=24,
        max_px=24,
        labelled=True,
        classes=3,
        splits=["train", "test"],
        unreadable=0,
        formats={"PNG": 18},
        bits={8: 18},
    )


def test_formats_and_depths(tmp_path: Path) -> None:
    for number in range(2):
        Image.new("L", (4, 4)).save(tmp_path / f"{number}.png")
    Image.new("1", (4, 4)).save(tmp_path / "a.bmp")
    Image.new("I;16", (4, 4)).save(tmp_path / "b.tif")
    facts = look_at(open_source(tmp_path))
    assert facts.formats == {"PNG": 2, "BMP": 1, "TIFF": 1}
    assert facts.bits == {1: 1, 8: 2, 16: 1}


def test_sizes_and_unreadable_files(tmp_path: Path) -> None:
    for number, size in enumerate([(10, 30), (20, 12), (50, 40)]):
        Image.new("RGB", size).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.jpg").write_bytes(b"broken")
    facts = look_at(open_source(tmp_path))
    assert (facts.count, facts.unreadable) == (4, 1)
    assert (facts.min_px, facts.short_side_px, facts.max_px) == (10, 12, 50)
    assert (facts.labelled, facts.classes, facts.splits) == (False, 0, [])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "P"])
def test_grey_pictures_have_one_channel(tmp_path: Path, mode: str) -> None:
    Image.new("L", (4, 4), 100).convert(mode).save(tmp_path / "grey.png")
    if mode == "P":
        Image.new("L", (4, 4), 100).quantize(4).save(tmp_path / "grey.png")
    assert look_at(open_source(tmp_path)).channels == 1
    Image.new("RGB", (4, 4)).save(tmp_path / "colour.png")
    assert look_at(open_source(tmp_path)).channels == 3


def test_a_coloured_palette_is_colour(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (200, 10, 10)).quantize(4).save(tmp_path / "red.png")
    assert look_at(open_source(tmp_path)).channels == 3


def test_only_a_sample_is_opened_and_no_pixel_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(write_pictures(tmp_path / "data", per_class=10))
    opened: list[int] = []
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("decoded"))
    monkeypatch.setattr(type(source), "read", lambda *_: pytest.fail("read whole"))
    open_file = type(source).open
    monkeypatch.setattr(type(source), "open", lambda self, index: opened.append(index) or open_file(self, index))
    facts = look_at(source, sample=7)
    assert (facts.count, len(set(opened))) == (30, 7)


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(TwofoldError, match=r"none of 1 files .*a\.png"):
        look_at(open_source(tmp_path))


def grey_and_colour(folder: Path) -> tuple[Path, Path]:
    """A folder of grey images and one of the same with a single one in colour."""
    for name in ("grey", "mixed"):
        (folder / name).mkdir()
        for number in range(5):
            Image.new("L", (4, 4), 40 * number).save(folder / name / f"{number}.png")
    Image.new("RGB", (4, 4), (200, 10, 10)).save(folder / "mixed" / "red.png")
    return folder / "grey", folder / "mixed"


def test_colour_pictures_are_refused_by_an_encoder_of_grey_ones(tmp_path: Path) -> None:
    for folder in (write_pictures(tmp_path / "data", per_class=2), grey_and_colour(tmp_path)[1]):
        with pytest.raises(TwofoldError) as caught:
            require_channels(look_at(open_source(folder)), DataRecipe(channels=1), "photos/")
        assert str(caught.value) == (
            "the images in 'photos/' are in colour (3 channels), but the encoder was trained with channels 1 (grey). "
            "Convert them to grey first or train with --channels 3."
        )
        assert require_channels(look_at(open_source(folder)), DataRecipe(channels=3), "photos/") == []


def test_grey_pictures_suit_both_and_are_copied_to_three_channels(tmp_path: Path) -> None:
    grey = grey_and_colour(tmp_path)[0]
    facts = look_at(open_source(grey))
    assert require_channels(facts, DataRecipe(channels=1), "grey/") == []
    (sentence,) = require_channels(facts, DataRecipe(channels=3), "grey/")
    assert sentence == "the images in 'grey/' are grey: each is copied to the 3 channels of the encoder"
    images = load_images(grey, recipe=DataRecipe(channels=3), store_px=4, cache=tmp_path / "cache")
    pixels = images.read(np.arange(5)).images.numpy()
    assert (pixels == 40 * np.arange(5)[:, None, None, None]).all()  # the sentence is true
    assert pixels.shape[1] == 3


def test_without_that_refusal_colour_would_be_lost_in_silence(tmp_path: Path) -> None:
    images = load_images(
        grey_and_colour(tmp_path)[1], recipe=DataRecipe(channels=1), store_px=4, cache=tmp_path / "cache"
    )
    assert (len(images), images.channels, images.quarantine, images.stated) == (6, 1, [], [])
