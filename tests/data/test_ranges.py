"""One intensity range for a data set of more than 8 bits: measured, kept, and applied again."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from data.image_files import png, profile, tiff
from small_recipe import SMALL
from twofold.data import ImageSet, Rules, decode, load_images, open_source, ranges
from twofold.data.ranges import measure_range
from twofold.data.readers import open_image
from twofold.data.samples import Samples
from twofold.data.sources.dataset import DatasetSource
from twofold.errors import TwofoldError
from twofold.programs.embed import embed
from twofold.recipes.recipe import DataRecipe
from twofold.runs.encoder_file import load as load_encoder
from twofold.training.loop import pretrain


def cells(folder: Path, *, top: int = 4095, count: int = 6, bands: int = 1) -> Path:
    """Noisy images of numbers 0 .. top in 16 bits, the first of them dark."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    for number in range(count):
        values = draw.integers(0, (top if number else top // 4) + 1, (20, 24, bands)).astype(np.uint16)
        (folder / f"{number}.tif").write_bytes(tiff(values, photometric=2 if bands == 3 else 1))
    return folder


def load(folder: Path, **settings: object) -> ImageSet:
    recipe = DataRecipe(**settings)
    return load_images(folder, recipe=recipe, store_px=None, cache=folder.parent / "cache")


def pixels(images: ImageSet) -> np.ndarray:
    return images.read(np.arange(len(images))).images.numpy()


def test_12_bits_in_16_keep_their_grey_levels(tmp_path: Path) -> None:
    """They were 17 levels where all 16 bits were taken for the range."""
    folder = cells(tmp_path / "cells")
    assert len(np.unique(pixels(load(folder, channels=1)))) == 256
    assert len(np.unique(pixels(load(folder, channels=1, range_from="type")))) <= 17


def test_the_range_is_that_of_the_percentiles_over_all_images(tmp_path: Path) -> None:
    folder = cells(tmp_path / "cells")
    values = np.concatenate([np.asarray(Image.open(path)).ravel() for path in sorted(folder.iterdir())])
    images = load(folder, channels=1)
    assert images.range == tuple(np.percentile(values, [0.1, 99.9]))
    assert measure_range(open_source(folder)) == images.range
    dark, light = pixels(images)[0], pixels(images)[1]
    assert dark.max() < 70, "an image that is dark stays dark beside the others"
    assert light.max() == 255


def test_each_channel_has_a_range_where_there_is_colour(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    draw = np.random.default_rng(0)
    values = draw.integers(0, 1000, (20, 24, 3)) * [1, 10, 60]
    (tmp_path / "data" / "a.png").write_bytes(png(values.astype(np.uint16)))
    images = load(tmp_path / "data")
    expected = np.percentile(values.reshape(-1, 3), [0.1, 99.9], axis=0).T.ravel()
    assert images.range is not None
    assert np.allclose(images.range, expected)


def test_a_given_range_is_taken_and_an_own_one_is_of_each_image(tmp_path: Path) -> None:
    folder = cells(tmp_path / "cells")
    given = pixels(load(folder, channels=1, range=(0.0, 4095.0)))
    values = np.asarray(Image.open(folder / "3.tif")).astype(float)
    assert np.array_equal(given[3, 0], np.rint(values / 4095 * 255))
    own = pixels(load(folder, channels=1, range_from="image"))
    assert own[0].max() == own[1].max() == 255


def test_the_range_of_a_run_is_applied_to_other_images(tmp_path: Path) -> None:
    trained = load(cells(tmp_path / "cells"), channels=1)
    other = cells(tmp_path / "other", top=2000)
    alone = load(other, channels=1)
    again = load(other, channels=1, range=trained.range)
    assert pixels(alone).max() == 255
    assert pixels(again).max() < 130
    assert load(tmp_path / "cells", channels=1, range=trained.range).fingerprint == trained.fingerprint


def test_an_unchanged_folder_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cells(tmp_path / "cells")
    first = load(folder)
    monkeypatch.setattr(ranges, "measure_range", lambda _: pytest.fail("measured again"))
    assert load(folder).range == first.range


def test_images_of_8_bits_are_not_measured_and_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    Image.fromarray(np.full((9, 9), 3, np.uint8)).save(tmp_path / "data" / "a.png")
    monkeypatch.setattr(ranges, "measure_range", lambda _: pytest.fail("measured"))
    images = load(tmp_path / "data", channels=1)
    assert images.range is None
    assert (pixels(images) == 3).all()
    assert "TF068" not in {finding.code for finding in images.findings}


def test_among_others_of_8_bits_the_range_is_that_of_the_deep_ones(tmp_path: Path) -> None:
    folder = cells(tmp_path / "data")
    Image.fromarray(np.full((20, 24), 200, np.uint8)).save(folder / "a.png")
    images = load(folder, channels=1)
    assert images.range is not None
    assert images.range[1] > 4000
    assert (pixels(images)[images.paths.index("a.png")] == 200).all()


def test_colours_with_a_profile_have_the_range_of_their_type(tmp_path: Path) -> None:
    folder = cells(tmp_path / "data", count=2)
    values = np.random.default_rng(1).integers(0, 65536, (20, 24, 3)).astype(np.uint16)
    linear = profile(b"RGB ", 1.0, np.eye(3))
    (folder / "photo.tif").write_bytes(tiff(values, photometric=2, tags={34675: (7, linear)}))
    images = load(folder)
    assert images.range is not None
    assert images.range[1] < 4096
    assert images.survey is not None
    assert images.survey.pixels is not None
    assert images.survey.pixels.notes["type range"] == 1


def test_blank_images_and_images_without_numbers_are_set_aside(tmp_path: Path) -> None:
    folder = cells(tmp_path / "cells", count=30)
    (folder / "blank.tif").write_bytes(tiff(np.full((20, 24, 1), 7, np.uint16)))
    (folder / "none.tif").write_bytes(tiff(np.full((20, 24, 1), np.nan, np.float32)))
    images = load(folder)
    assert len(images) == 30
    assert {one.path: one.reason for one in images.quarantine} == {
        "blank.tif": "it is blank: every pixel is 7",
        "none.tif": "it holds no data: every pixel is nodata or not a number",
    }


def test_nothing_but_blank_images_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.tif").write_bytes(tiff(np.zeros((9, 9, 1), np.uint16)))
    with pytest.raises(ValueError, match=r"none of the 1 files .*it is blank"):
        load(tmp_path / "data")


def test_what_was_decided_is_counted_and_said(tmp_path: Path) -> None:
    folder = cells(tmp_path / "cells", bands=3)
    images = load(folder)
    assert images.survey is not None
    assert dataclasses.asdict(images.survey.pixels) == {
        "formats": {"TIFF": 6},
        "bits": {"16": 6},
        "grey": 0,
        "notes": {"data range": 6},
        "missing_percent": 0.0,
    }
    assert images.range is not None
    ends = ", ".join(f"{low:g} to {high:g}" for low, high in zip(images.range[::2], images.range[1::2], strict=True))
    assert f"pixels: 6 images of more than 8 bits, scaled by one range for all, {ends}" in images.stated
    assert load(folder).stated == images.stated, "from the store too"


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("form", [np.asarray, lambda values: torch.from_numpy(np.moveaxis(values, 2, 0).copy())])
def test_arrays_of_12_bits_in_a_data_set_keep_their_levels(tmp_path: Path, form: Any, bands: int) -> None:
    files = cells(tmp_path / "cells", bands=bands)
    values = [decoded(path) for path in sorted(files.iterdir())]
    source = DatasetSource([form(one) for one in values], "arrays")
    images = load_images(source, recipe=DataRecipe(channels=bands), store_px=None, cache=tmp_path / "cache")
    assert np.array_equal(pixels(images), pixels(load(files, channels=bands)))


def decoded(path: Path) -> np.ndarray:
    """The numbers in a file, (H, W, bands)."""
    opened = open_image(path.read_bytes())
    assert isinstance(opened, Samples)
    return opened.read(0, opened.size[1])


def test_a_run_keeps_its_range_and_its_encoder_applies_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = cells(tmp_path / "cells", count=20)
    recipe = SMALL.with_settings(channels=1, batch_size=4, monitor_share=1.0)
    run = pretrain(folder, out=tmp_path / "run", recipe=recipe, cache=tmp_path / "cache")
    assert "pixels: 20 images of more than 8 bits, scaled by one range for all, " in capfd.readouterr().out
    kept = run.read_recipe()["recipe"]["data"]["range"]
    assert kept == list(measure_range(open_source(folder)) or ())
    pretrain(folder, out=tmp_path / "run", recipe=recipe, cache=tmp_path / "cache")  # the same call goes on with it
    with pytest.raises(TwofoldError, match=r"^range is \(0.0, 500.0\), but the run"):
        pretrain(
            folder, out=tmp_path / "run", recipe=recipe.with_settings(range=(0.0, 500.0)), cache=tmp_path / "cache"
        )

    encoder = load_encoder(run)
    path = folder / "3.tif"
    scaled = decode(path.read_bytes(), Rules(channels=1, range=tuple(kept))).pixels
    of_file, of_8_bits, of_array = (encoder.embed(one) for one in (path, scaled, decoded(path)))
    assert np.allclose(of_file, of_8_bits, atol=1e-5)
    assert np.array_equal(of_file, of_array), "numbers of an array are those of the files"
    as_its_type = decode(path.read_bytes(), Rules(channels=1)).pixels
    assert not np.allclose(of_file, encoder.embed(as_its_type), atol=1e-3), "another range is seen"

    other = cells(tmp_path / "other", top=2000)
    embed(run, other, out=tmp_path / "h.parquet", cache=tmp_path / "cache")
    written = pq.read_table(tmp_path / "h.parquet")
    row = written["path"].to_pylist().index("2.tif")
    assert np.allclose(written["embedding"][row].as_py(), encoder.embed(other / "2.tif")[0], atol=1e-4)
