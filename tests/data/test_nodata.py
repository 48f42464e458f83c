"""Nodata: black, in no range, counted, and set aside where there is nothing else; in tiles too."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from twofold.data import load_images, open_source
from twofold.data.decode import Rules, decode
from twofold.data.ranges import measure_range
from twofold.data.samples import is_missing
from twofold.data.sources import tiles as cut
from twofold.data.sources.tiles import divided
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe

DRAW = np.random.default_rng(0)


def tiff(values: np.ndarray, nodata: str | None = None, **options: Any) -> bytes:
    """As GDAL writes it: the number as text in the tag 42113."""
    tags = [] if nodata is None else [(42113, "s", 0, nodata, True)]
    stream = io.BytesIO()
    tifffile.imwrite(
        stream, values, extratags=tags, **{"photometric": "minisblack", "planarconfig": "contig", **options}
    )
    return stream.getvalue()


def bordered(bands: int, kind: Any, number: float, side: int = 40) -> np.ndarray:
    """Values from 100 to 199 with a border of `number`, 10 pixels wide: three quarters of the image."""
    values = np.full((side, side, bands), number, kind)
    values[10:-10, 10:-10] = DRAW.integers(100, 200, (side - 20, side - 20, bands))
    return values


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint(np.clip((values.astype(np.float64) - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def save(folder: Path, **files: bytes) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.tif").write_bytes(content)
    return folder


NUMBERS: dict[str, tuple[Any, float, str]] = {
    "uint16, 0": (np.uint16, 0, "0"),
    "uint16, largest": (np.uint16, 65535, "65535"),
    "int16": (np.int16, -9999, "-9999"),
    "float32": (np.float32, -3.4028234663852886e38, "-3.40282346638529e+38"),  # with too few digits, as of old
    "NaN": (np.float32, np.nan, "nan"),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_nodata_is_black_and_in_no_range(case: str, tmp_path: Path) -> None:
    kind, number, text = NUMBERS[case]
    values = bordered(5, kind, number)
    data = save(tmp_path / "data", a=tiff(values, text))
    inside = values[10:-10, 10:-10].astype(np.float64)
    images = load_images(data, recipe=DataRecipe(channels=5), store_px=None, cache=tmp_path / "cache")
    ends = [end for band in range(5) for end in np.percentile(inside[:, :, band], (0.1, 99.9))]
    assert images.range is not None
    np.testing.assert_allclose(images.range, ends)
    pixels = images.read(np.array([0])).images.numpy()[0].transpose(1, 2, 0)
    expected = np.zeros(values.shape, np.uint8)
    for band in range(5):
        expected[10:-10, 10:-10, band] = scaled(inside[:, :, band], *ends[2 * band : 2 * band + 2])
    assert np.array_equal(pixels, expected)
    said = "1 image with nodata or pixels that are not numbers (75% of their pixels), shown in black"
    assert said in "\n".join(images.stated)


def test_a_band_without_any_number_does_not_hide_the_others(tmp_path: Path) -> None:
    values = bordered(3, np.int16, -1)
    values[:, :, 1] = -1
    data = save(tmp_path / "data", a=tiff(values, "-1"))
    rules = Rules(channels=3, bands=(1, 2, 3), range_from="data")
    range_ = measure_range(open_source(data), rules)
    assert range_ is not None
    ends = np.percentile(values[10:-10, 10:-10].astype(float), (0.1, 99.9), axis=(0, 1))
    np.testing.assert_allclose(range_, [*ends[:, 0], 0, 1, *ends[:, 2]])


def test_in_eight_bits_all_bands_of_a_pixel_are_nodata_or_none() -> None:
    values = bordered(3, np.uint8, 255)
    values[20, 20] = (255, 10, 20)  # a bright red, no hole
    decoded = decode(tiff(values, "255", photometric="rgb"), Rules(channels=3))
    assert np.array_equal(decoded.pixels, np.where((values == 255).all(axis=2, keepdims=True), 0, values))
    assert decoded.traits.missing_percent == 75
    assert np.array_equal(decode(tiff(values, photometric="rgb"), Rules(channels=3)).pixels, values)
    bands = decode(tiff(values, "255"), Rules(channels=3, bands=(3, 2, 1))).pixels
    assert np.array_equal(bands, decoded.pixels[:, :, ::-1])
    deep = is_missing(np.array([[255, 7]], np.uint16), 255.0)
    assert deep.tolist() == [[True, False]]


@pytest.mark.parametrize("number", ["-9999", "1e30", "70000", "text", "0.5"])
def test_a_number_that_the_type_cannot_hold_marks_nothing(number: str) -> None:
    values = bordered(1, np.uint16, 0)[:, :, 0]
    decoded = decode(tiff(values, number), Rules(channels=1))
    assert "missing values" not in decoded.traits.notes
    assert np.array_equal(decoded.pixels[:, :, 0], scaled(values, 0, 65535))


def test_nodata_is_black_where_the_smallest_number_is_white() -> None:
    values = bordered(1, np.uint16, 0)[:, :, 0]
    decoded = decode(tiff(values, "0", photometric="miniswhite"), Rules(channels=1, range=(0.0, 1000.0)))
    assert np.array_equal(decoded.pixels[:, :, 0], np.where(values == 0, 0, 255 - scaled(values, 0, 1000)))


def test_images_of_nodata_alone_are_set_aside_and_told_of(tmp_path: Path) -> None:
    full, empty = bordered(1, np.uint8, 0)[:, :, 0], np.zeros((40, 40), np.uint8)
    data = save(tmp_path / "data", a=tiff(full, "0"), b=tiff(full // 2, "0"), c=tiff(empty, "0"),
                d=tiff(empty.astype(np.uint16), "0"), e=tiff(np.full((9, 9), np.nan, np.float32)))  # fmt: skip
    recipe = DataRecipe(channels=1)
    images = load_images(data, recipe=recipe, store_px=None, cache=tmp_path / "cache")
    assert images.paths == ["a.tif", "b.tif"]
    assert [finding.text for finding in images.findings if finding.code in ("TF040", "TF075")] == [
        "3 images with nothing but nodata, set aside: c.tif, d.tif, e.tif"
    ]
    (data / "f.tif").write_bytes(b"II*\0nothing")
    with pytest.raises(TwofoldError, match=r"1 of 6 files in .* cannot be read, more than the 10% allowed \(f\.tif"):
        load_images(data, recipe=recipe, store_px=None, cache=tmp_path / "cache")
    nothing = save(tmp_path / "nothing", c=tiff(empty, "0"))
    with pytest.raises(TwofoldError, match=r"none of the 1 files .* it holds no data"):
        load_images(nothing, recipe=recipe, store_px=None, cache=tmp_path / "cache")


def tiles(data: Path, cache: Path, **settings: Any) -> dict[str, Any]:
    source = divided(open_source(data), DataRecipe(**{"tile": 16, "tile_content": 0.0, **settings}), cache)
    return {record.path: source.read(number) for number, record in enumerate(source.records)}


CASES: dict[str, tuple[np.ndarray, str | None, dict[str, Any]]] = {
    "many bands": (bordered(5, np.int16, -1), "-1", {"tile": (16, 16)}),
    "colour of 8 bits": (bordered(3, np.uint8, 255), "255", {"photometric": "rgb"}),
    "white is zero": (bordered(1, np.uint16, 0)[:, :, 0], "0", {"photometric": "miniswhite"}),
    "a band beyond colour": (bordered(4, np.uint8, 0), None, {"photometric": "rgb", "extrasamples": ["unspecified"]}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_tile_is_what_the_whole_image_holds_there(case: str, tmp_path: Path) -> None:
    values, nodata, options = CASES[case]
    content = tiff(values, nodata, **options)
    bands = {"bands": (1, 2, 3, 4, 5), "channels": 5} if case == "many bands" else {"channels": 3}
    rules = Rules(range=(-65535.0, 65535.0), **bands)
    whole = decode(content, Rules(range=(0.0, 65535.0), **bands) if values.dtype.kind == "u" else rules).pixels
    for path, tile in tiles(save(tmp_path / "data", a=content), tmp_path / "cache").items():
        x, y, w, h = map(int, path.partition("#")[2].split(","))
        again = decode(tile, Rules(range=(0.0, 65535.0), **bands) if values.dtype.kind == "u" else rules).pixels
        assert np.array_equal(again, whole[y : y + h, x : x + w])


def test_a_tile_that_forgets_its_nodata_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole_tiff = cut.as_tiff
    monkeypatch.setattr(cut, "as_tiff", lambda values, colours, _, **more: whole_tiff(values, colours, None, **more))
    values, nodata, _ = CASES["many bands"]
    content, rules = tiff(values, nodata), Rules(channels=5, range=(-2.0, 300.0))
    whole = decode(content, rules).pixels
    found = tiles(save(tmp_path / "data", a=content), tmp_path / "cache")
    assert not np.array_equal(decode(found["a.tif#0,0,16,16"], rules).pixels, whole[:16, :16])


def test_tiles_of_nodata_are_left_out_and_shrinking_averages_what_is_there(tmp_path: Path) -> None:
    values = np.full((64, 96), -9999, np.int16)
    values[:32, :32] = 1000  # and around it nothing
    values[32:35, 32:35] = 2000
    dots = 10_000 / 0.5
    content = tiff(values, "-9999", tile=(16, 16), resolution=(dots, dots), resolutionunit="CENTIMETER")
    data = save(tmp_path / "data", a=content)
    assert list(tiles(data, tmp_path / "cache", tile_content=0.1)) == [
        f"a.tif#{x},{y},16,16" for y in (0, 16) for x in (0, 16)
    ]  # fmt: skip
    tile = tiles(data, tmp_path / "cache", tile=32, micrometres_per_px=1.0)["a.tif#0,0,64,64"]
    small = tifffile.imread(io.BytesIO(tile))
    expected = np.full((32, 32), -9999)
    expected[:16, :16] = 1000
    expected[16, 16] = expected[16, 17] = expected[17, 16] = 2000  # half of an area and more is there, or nothing
    assert np.array_equal(small, expected)
