"""Slides by OpenSlide: the pixels that tifffile reads from the same file, at each of its sizes, or a clear reason."""

import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from twofold.data import load_images, open_source
from twofold.data.decode import Rules, decode
from twofold.data.formats import extensions
from twofold.data.sources import windows
from twofold.data.sources.tiles import divided
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe

openslide = pytest.importorskip("openslide", reason="needs twofold[slides]")
DRAW = np.random.default_rng(0)
DOTS = 10_000 / 0.25  # a centimetre at 0.25 micrometres a pixel


def slide(path: Path, side: int = 512) -> np.ndarray:
    """A TIFF of tiles, which OpenSlide knows, with tissue on the left and a copy of half the size; its pixels."""
    values = np.full((side, side, 3), 240, np.uint8)
    values[:, : side // 2] = DRAW.integers(1, 200, (side, side // 2, 3))
    path.parent.mkdir(exist_ok=True, parents=True)
    options: dict[str, Any] = {"tile": (128, 128), "photometric": "rgb", "compression": "zlib"}
    options |= {"resolution": (DOTS, DOTS), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path) as writer:
        writer.write(values, **options)
        writer.write(values[::2, ::2], subfiletype=1, **options)
    return values


def cut(data: Path, cache: Path, **settings: Any) -> Any:
    return divided(open_source(data, cache=cache), DataRecipe(**{"tile": 128, **settings}), cache)


def pixels(source: Any) -> dict[str, np.ndarray]:
    return {
        record.path: decode(source.read(number), Rules(channels=3)).pixels
        for number, record in enumerate(source.records)
    }


def test_tiles_are_the_pixels_of_tifffile_without_the_glass(tmp_path: Path) -> None:
    slide(tmp_path / "data" / "a.svs")
    with tifffile.TiffFile(tmp_path / "data" / "a.svs") as file:
        large, small = (page.asarray() for page in file.pages)
    ours = pixels(cut(tmp_path / "data", tmp_path / "cache"))
    assert sorted(ours) == sorted(f"a.svs#{x},{y},128,128" for x in (0, 128) for y in (0, 128, 256, 384))
    for path, tile in ours.items():
        x, y, w, h = map(int, path.partition("#")[2].split(","))
        assert np.array_equal(tile, large[y : y + h, x : x + w])
    ours = pixels(cut(tmp_path / "data", tmp_path / "cache", micrometres_per_px=0.5))
    assert sorted(ours) == ["a.svs#0,0,256,256", "a.svs#0,256,256,256"]
    assert np.array_equal(ours["a.svs#0,256,256,256"], small[128:, :128])
    everything = cut(tmp_path / "data", tmp_path / "cache", tile_content=0.0)
    assert len(everything.records) == 16


def test_the_copy_is_read_where_it_is_enough(tmp_path: Path) -> None:
    slide(tmp_path / "a.svs")
    opened = windows.SlideWindows(tmp_path / "a.svs")
    read: list[int] = []
    whole = opened._slide.read_region
    opened._slide.read_region = lambda place, level, size: read.append(level) or whole(place, level, size)
    sizes = [opened.read(0, 0, 256, 256, shrink=shrink).shape[:2] for shrink in (1.0, 1.9, 2.0, 16.0)]
    assert (read, sizes) == ([0, 0, 1, 1], [(256, 256), (256, 256), (128, 128), (128, 128)])
    assert (opened.size, opened.micrometres_per_px) == ((512, 512), 0.25)


def test_a_small_slide_is_one_tile_and_pages_are_not_taken_apart(tmp_path: Path) -> None:
    values = slide(tmp_path / "data" / "a.ndpi", 100)
    ours = pixels(cut(tmp_path / "data", tmp_path / "cache", pages="images"))
    assert list(ours) == ["a.ndpi#0,0,100,100"]
    assert np.array_equal(ours["a.ndpi#0,0,100,100"], values)


@pytest.mark.parametrize("way", ["table", "list"])
def test_slides_of_a_table_and_a_list(way: str, tmp_path: Path) -> None:
    slide(tmp_path / "data" / "a.svs", 128)
    slide(tmp_path / "data" / "b.svs", 128)
    text = "path,label\na.svs,x\nb.svs,y\n" if way == "table" else "a.svs\nb.svs\n"
    place = tmp_path / "data" / ("list.csv" if way == "table" else "list.txt")
    place.write_text(text)
    assert len(cut(place, tmp_path / "cache").records) == 2


def test_what_is_no_slide_is_set_aside_and_not_read_as_its_label(tmp_path: Path) -> None:
    """The file of a MIRAX slide may be a small photograph; the slide lies in a folder beside it."""
    slide(tmp_path / "data" / "a.svs")
    Image.fromarray(DRAW.integers(0, 255, (40, 40, 3), np.uint8)).save(tmp_path / "b.jpg")
    (tmp_path / "b.jpg").rename(tmp_path / "data" / "b.mrxs")
    for decoding in ("once", "each-time"):
        recipe = DataRecipe(tile=128, max_unreadable_fraction=0.5, decode=decoding)
        images = load_images(tmp_path / "data", recipe=recipe, store_px=None, cache=tmp_path / "cache")
        assert len(images) == 8
        assert [one.path for one in images.quarantine] == ["b.mrxs"]
        assert images.quarantine[0].reason.startswith("OpenSlide does not read it")


def test_slides_without_tiles_or_in_an_archive_are_refused_with_what_to_do(tmp_path: Path) -> None:
    slide(tmp_path / "data" / "a.svs")
    with pytest.raises(TwofoldError, match=r"'a\.svs' is a slide, .* --tile 256"):
        load_images(tmp_path / "data", recipe=DataRecipe(), store_px=None, cache=tmp_path / "cache")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "data" / "a.svs", "a.svs")
    with pytest.raises(TwofoldError, match="a slide, which OpenSlide reads as a file of its own; unpack or copy it"):
        load_images(tmp_path / "a.zip", recipe=DataRecipe(tile=128), store_px=None, cache=tmp_path / "cache")


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slide(tmp_path / "data" / "a.svs")
    monkeypatch.setitem(sys.modules, "openslide", None)
    with pytest.raises(TwofoldError, match=r"a slide's file, which needs .*: pip install 'twofold\[slides\]'"):
        windows.SlideWindows(tmp_path / "data" / "a.svs")
    monkeypatch.setattr("twofold.data.formats.is_installed", lambda module: module != "openslide")
    extensions.cache_clear()
    with pytest.raises(TwofoldError, match=r"whole-slide image.* pip install 'twofold\[slides\]'"):
        open_source(tmp_path / "data")
    extensions.cache_clear()
