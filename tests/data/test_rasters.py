"""What GDAL alone reads: as rasterio wrote it, or one line on how to install it."""

import importlib
import io
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.corpus_headers import four_bands
from data.corpus_pixels import colour
from data.image_files import saved
from twofold.data import formats, load_images, open_source, rasters
from twofold.data.decode import Rules, decode
from twofold.data.formats import UnreadableError
from twofold.data.quiet import quiet
from twofold.data.sources.tiles import divided
from twofold.data.tiff_alone import as_tiff
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe

DRAW = np.random.default_rng(0)
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {  # driver, ending, options
    "JPEG 2000": ("JP2OpenJPEG", "jp2", {"QUALITY": "100", "REVERSIBLE": "YES"}),
    "JPEG 2000, packed image alone": ("JP2OpenJPEG", "j2k", {"QUALITY": "100", "REVERSIBLE": "YES", "CODEC": "J2K"}),
    "Imagine": ("HFA", "img", {}),
    "LERC": ("GTiff", "tif", {"COMPRESS": "LERC"}),
    "LERC and deflate": ("GTiff", "tif", {"COMPRESS": "LERC_DEFLATE", "TILED": "YES"}),
}


def values(bands: int, kind: Any = np.uint16) -> np.ndarray:
    return DRAW.integers(1, 4000, (33, 40, bands), np.uint16).astype(kind)


def written(path: Path, pixels: np.ndarray, driver: str, options: dict[str, Any], **about: Any) -> Path:
    """A file of GDAL's."""
    pytest.importorskip("rasterio", reason="needs twofold[geo]")
    memory = importlib.import_module("rasterio.io").MemoryFile
    height, width, count = pixels.shape
    with quiet(), importlib.import_module("rasterio").Env(GDAL_PAM_ENABLED="NO"), memory() as plain:
        whole = {"driver": "GTiff", "width": width, "height": height, "count": count, "dtype": pixels.dtype.name}
        with plain.open(**whole, **about) as raster:
            raster.write(pixels.transpose(2, 0, 1))
        with plain.open() as raster:
            importlib.import_module("rasterio.shutil").copy(raster, str(path), driver=driver, **options)
    return path


def scaled(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint(np.clip((pixels.astype(np.float64) - low) / (high - low), 0, 1) * 255).astype(np.uint8)


@pytest.mark.parametrize("case", KINDS)
def test_thirteen_bands_of_sixteen_bits(case: str, tmp_path: Path) -> None:
    driver, ending, options = KINDS[case]
    pixels = values(13)
    content = written(tmp_path / f"a.{ending}", pixels, driver, options).read_bytes()
    rules = Rules(channels=13, range=(0.0, 4095.0))
    assert np.array_equal(decode(content, rules).pixels, scaled(pixels, 0, 4095))
    chosen = decode(content, Rules(channels=2, bands=(13, 4), range=(0.0, 4095.0))).pixels
    assert np.array_equal(chosen, scaled(pixels[:, :, [12, 3]], 0, 4095))


def test_colour_of_sixteen_bits_in_jpeg_2000_keeps_them(tmp_path: Path) -> None:
    """Pillow keeps the upper eight of them, and cannot tell."""
    pixels = values(3)
    options = KINDS["JPEG 2000"][2]
    path = written(tmp_path / "a.jp2", pixels, "JP2OpenJPEG", options, photometric="RGB")
    decoded = decode(path.read_bytes(), Rules(channels=3, range=(0.0, 4095.0)))
    assert np.array_equal(decoded.pixels, scaled(pixels, 0, 4095))
    assert (decoded.traits.format, decoded.traits.bits, decoded.traits.is_grey) == ("JPEG2000", 16, False)
    stream = io.BytesIO()
    Image.fromarray((pixels % 256).astype(np.uint8)).save(stream, "jpeg2000")
    assert np.array_equal(decode(stream.getvalue(), Rules(channels=3)).pixels, pixels % 256)  # without GDAL, as ever


@pytest.mark.parametrize("case", ["Imagine", "LERC"])
def test_nodata_of_a_folder_and_of_its_tiles(case: str, tmp_path: Path) -> None:
    driver, ending, options = KINDS[case]
    pixels = values(3, np.int16)
    pixels[:10] = -9999
    (tmp_path / "data").mkdir()
    path = written(tmp_path / "data" / f"a.{ending}", pixels, driver, options, nodata=-9999)
    recipe = DataRecipe(bands=(1, 2, 3))
    images = load_images(tmp_path / "data", recipe=recipe, store_px=None, cache=tmp_path / "cache")
    assert [one.name for one in (tmp_path / "data").iterdir()] == [path.name]
    ends = [end for band in range(3) for end in np.percentile(pixels[10:, :, band].astype(float), (0.1, 99.9))]
    assert images.range is not None
    np.testing.assert_allclose(images.range, ends)
    assert "31% of their pixels" in "\n".join(images.stated)
    source = divided(open_source(tmp_path / "data"), DataRecipe(tile=20, tile_content=0.0), tmp_path / "cache")
    whole = images.read(np.array([0])).images.numpy()[0].transpose(1, 2, 0)
    for number, record in enumerate(source.records):
        x, y, w, h = map(int, record.path.partition("#")[2].split(","))
        content = source.read(number)
        tile = decode(content, Rules(channels=3, bands=(1, 2, 3), range=images.range)).pixels
        assert np.array_equal(tile, whole[y : y + h, x : x + w])


def test_a_list_of_other_files_is_not_followed(tmp_path: Path) -> None:
    pytest.importorskip("rasterio", reason="needs twofold[geo]")
    (tmp_path / "data").mkdir()
    Image.new("L", (9, 9)).save(tmp_path / "data" / "a.png")
    Image.new("L", (9, 9)).save(tmp_path / "secret.png")
    inside = f"<SimpleSource><SourceFilename>{tmp_path}/secret.png</SourceFilename></SimpleSource>"
    text = f'<VRTRasterBand dataType="Byte" band="1">{inside}</VRTRasterBand>'
    text = f'<VRTDataset rasterXSize="9" rasterYSize="9">{text}</VRTDataset>'
    (tmp_path / "data" / "b.vrt").write_text(text)
    source = open_source(tmp_path / "data")
    assert [record.path for record in source.records] == ["a.png"]
    assert any("1 x .vrt (list of other rasters)" in one.text for one in source.findings)
    with pytest.raises(UnreadableError, match="GDAL does not read it"):
        rasters.open_raster(io.BytesIO(text.encode()), "a TIFF")


def test_broken_files_have_a_reason(tmp_path: Path) -> None:
    content = written(tmp_path / "a.jp2", values(6), "JP2OpenJPEG", {}).read_bytes()
    for broken in (content[: len(content) // 2], b"EHFA_HEADER_TAG\0" + bytes(500)):
        with pytest.raises(UnreadableError, match="GDAL does not read it"):
            decode(broken, Rules(channels=6, range=(0.0, 4095.0)))


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rasters, "is_installed", lambda _: False)
    monkeypatch.setitem(sys.modules, "rasterio", None)
    five = four_bands().replace(b"\0\4\7\1\1", b"\0\5\7\1\1").replace(b"\0\4\7\7\0", b"\0\5\7\7\0")
    deep = saved(Image.fromarray(colour()), "JPEG2000").replace(*(bytes([0, 3, *[n, 1, 1] * 2, n]) for n in (7, 11)))
    for content, what in ((five, "a JPEG 2000"), (deep, "a JPEG 2000"), (b"EHFA_HEADER_TAG\0", "an Imagine")):
        for rules in (Rules(channels=3), Rules(channels=5)):
            with pytest.raises(UnreadableError, match=rf"it is {what} file, .*: pip install 'twofold\[geo\]'"):
                decode(content, rules)
    packed = as_tiff(values(2), 1, None).replace(*(struct.pack("<HHII", 259, 4, 1, kind) for kind in (1, 34887)))
    for rules in (Rules(channels=1), Rules(channels=2)):
        with pytest.raises(UnreadableError, match=r"compression 34887\) is not read; .*: pip install 'twofold\[geo\]'"):
            decode(packed, rules)
    monkeypatch.setattr(formats, "is_installed", lambda _: False)
    formats.extensions.cache_clear()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.img").write_bytes(b"EHFA_HEADER_TAG")
    with pytest.raises(TwofoldError, match=r"pip install 'twofold\[geo\]'"):
        open_source(tmp_path / "data")
    formats.extensions.cache_clear()
