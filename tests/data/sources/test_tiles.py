"""Tiles of large images: windows as tifffile reads them, which are kept, and in which order an epoch shows them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from data import corpus_colours, corpus_pixels
from data.image_files import png, profile, tiff
from twofold.data import load_images, open_source
from twofold.data.colour_space import Colours
from twofold.data.decode import Rules, decode
from twofold.data.loader import rows_of_step
from twofold.data.pool import content_digest
from twofold.data.record import file_of
from twofold.data.slides import Slides, slides_of
from twofold.data.sources import tiles
from twofold.data.sources.tiles import TiledSource, divided
from twofold.data.tiff_windows import TiffWindows
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe

DRAW = np.random.default_rng(0)


def slide(height: int = 150, width: int = 210, bands: int = 3, kind: Any = np.uint8) -> np.ndarray:
    return DRAW.integers(1, 200, (height, width, bands), kind)


def pyramid(path: Path, values: np.ndarray, sub_ifds: bool = False, **options: Any) -> Path:
    """The image and two smaller copies, as pages or below the first one."""
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        options = {"tile": (32, 48), "photometric": "rgb", **options}
        writer.write(values, subifds=2 if sub_ifds else None, **options)
        for step in (2, 4):
            writer.write(values[::step, ::step], subfiletype=1, **options)
    return path


def cut(path: Path, cache: Path, **settings: Any) -> TiledSource:
    source = divided(open_source(path, cache=cache), DataRecipe(**{"tile": 64, **settings}), cache)
    assert isinstance(source, TiledSource)
    return source


def windows(source: TiledSource) -> dict[str, np.ndarray]:
    return {
        record.path: decode(source.read(number), Rules(channels=3)).pixels
        for number, record in enumerate(source.records)
    }


WAYS: dict[str, dict[str, Any]] = {
    "tiles": {},
    "tiles of planes": {"planarconfig": "separate"},
    "deflated": {"compression": "zlib", "predictor": True},
    "strips": {"tile": None, "rowsperstrip": 11},
    "copies below the page": {"sub_ifds": True},
    "big-endian strips": {"tile": None},
}


@pytest.mark.parametrize("way", WAYS)
def test_tiles_are_the_windows_of_the_image(way: str, tmp_path: Path) -> None:
    values = slide()
    (tmp_path / "data").mkdir()
    options = dict(WAYS[way])
    data = values.transpose(2, 0, 1) if options.get("planarconfig") == "separate" else values
    if options.get("planarconfig") == "separate":
        tifffile.imwrite(tmp_path / "data" / "a.tif", data, tile=(32, 48), photometric="rgb", **options)
    else:
        pyramid(tmp_path / "data" / "a.tif", data, **options)
    source = cut(tmp_path / "data", tmp_path / "cache")
    found = windows(source)
    xs, ys = (0, 64, 128, 146), (0, 64, 86)
    assert sorted(found) == sorted(f"a.tif#{x},{y},64,64" for x in xs for y in ys)
    for path, tile in found.items():
        x, y, w, h = map(int, path.partition("#")[2].split(","))
        assert np.array_equal(tile, values[y : y + h, x : x + w])
    assert {record.group for record in source.records} == {"a.tif"}


def test_tiles_of_jpeg_are_those_of_pillow(tmp_path: Path) -> None:
    """As scanners of slides write them: each tile is a JPEG, with its tables in a tag of the page."""
    values = np.asarray(Image.fromarray(slide(128, 192)).resize((192, 128)).resize((24, 16)).resize((192, 128)))
    Image.fromarray(values).save(tmp_path / "a.tif", compression="jpeg", quality=90)
    theirs = np.asarray(Image.open(tmp_path / "a.tif"))
    ours = TiffWindows(lambda: (tmp_path / "a.tif").open("rb")).read(10, 20, 100, 90)
    np.testing.assert_allclose(ours.astype(int), theirs[20:110, 10:110].astype(int), atol=2)


def test_sixteen_bits_and_many_bands_stay_what_they_are(tmp_path: Path) -> None:
    values = slide(70, 70, 5, np.uint16)
    (tmp_path / "data").mkdir()
    tifffile.imwrite(
        tmp_path / "data" / "a.tif", values, tile=(16, 16), photometric="minisblack", planarconfig="contig"
    )
    source = cut(tmp_path / "data", tmp_path / "cache", channels=5)
    for number, record in enumerate(source.records):
        x, y, w, h = map(int, record.path.partition("#")[2].split(","))
        content = source.read(number)
        assert isinstance(content, bytes)
        assert np.array_equal(tifffile.imread(io.BytesIO(content)), values[y : y + h, x : x + w])


def test_stride_and_images_that_are_no_larger_than_a_tile(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    Image.fromarray(slide(64, 100)).save(tmp_path / "data" / "large.png")
    Image.fromarray(slide(60, 64)).save(tmp_path / "data" / "small.png")
    (tmp_path / "data" / "broken.tif").write_bytes(b"II*\0nothing")
    source = cut(tmp_path / "data", tmp_path / "cache", stride=20)
    paths = [record.path for record in source.records]
    assert paths == ["broken.tif", *(f"large.png#{x},0,64,64" for x in (0, 20, 36)), "small.png"]
    assert source.read(4) == (tmp_path / "data" / "small.png").read_bytes()
    assert source.findings[-1].text == "1 of 3 files are cut into 3 tiles of 64 px"


def test_background_and_what_is_without_data_are_left_out(tmp_path: Path) -> None:
    values = np.full((128, 256, 3), 240, np.uint8)  # white glass
    values[:, 64:128] = 0  # outside of the scan
    values[:64, 128:192] = slide(64, 64)
    values[64:70, 192:] = (180, 60, 140)  # a thin piece of tissue
    (tmp_path / "data").mkdir()
    tifffile.imwrite(tmp_path / "data" / "a.tif", values, tile=(32, 32), photometric="rgb")
    paths = [record.path for record in cut(tmp_path / "data", tmp_path / "cache", tile_content=0.5).records]
    assert paths == ["a.tif#128,0,64,64"]
    paths = [record.path for record in cut(tmp_path / "data", tmp_path / "cache", tile_content=0.05).records]
    assert paths == ["a.tif#128,0,64,64", "a.tif#192,64,64,64"]
    assert len(cut(tmp_path / "data", tmp_path / "cache", tile_content=0.0).records) == 8
    tifffile.imwrite(tmp_path / "data" / "a.tif", values[:, :64], tile=(32, 32), photometric="rgb")
    with pytest.raises(TwofoldError, match=r"no tile .* has content in at least 100%"):
        cut(tmp_path / "data", tmp_path / "cache", tile_content=1.0)


@pytest.mark.parametrize("sub_ifds", [False, True])
def test_micrometres_come_from_a_smaller_copy(sub_ifds: bool, tmp_path: Path) -> None:
    """A tile at twice the file's pixel covers twice the side, and holds what the copy of half the size holds."""
    values = slide(256, 256)
    (tmp_path / "data").mkdir()
    dots = 10_000 / 0.25  # a centimetre at 0.25 micrometres a pixel
    options: dict[str, Any] = {"resolution": (dots, dots), "resolutionunit": "CENTIMETER"}
    pyramid(tmp_path / "data" / "a.tif", values, sub_ifds, **options)
    source = cut(tmp_path / "data", tmp_path / "cache", micrometres_per_px=0.5)
    found = windows(source)
    assert sorted(found) == sorted(f"a.tif#{x},{y},128,128" for x in (0, 128) for y in (0, 128))
    assert np.array_equal(found["a.tif#128,0,128,128"], values[::2, ::2][:64, 64:])
    finer = windows(cut(tmp_path / "data", tmp_path / "cache", micrometres_per_px=0.75))["a.tif#0,0,192,192"]
    assert finer.shape == (64, 64, 3)
    Image.fromarray(values).save(tmp_path / "data" / "b.png")
    with pytest.raises(TwofoldError, match=r"'b\.png' does not say .*Give --micrometres-per-px None\."):
        cut(tmp_path / "data", tmp_path / "cache", micrometres_per_px=0.5)


def test_a_large_file_is_never_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen by the bytes that are read for a tile: those of the file's own tiles around it."""
    values = slide(512, 512)
    tifffile.imwrite(tmp_path / "a.tif", values, tile=(64, 64), photometric="rgb")
    read: list[int] = []

    class Counted(io.FileIO):
        def read(self, size: int = -1, /) -> bytes:
            content = super().read(size)
            read.append(len(content))
            return content

    opened = TiffWindows(lambda: Counted(tmp_path / "a.tif"))  # type: ignore[arg-type, return-value]
    read.clear()
    assert np.array_equal(opened.read(70, 130, 60, 60), values[130:190, 70:130])
    assert sum(read) <= 4 * 64 * 64 * 3


def test_where_tiles_lie_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    pyramid(tmp_path / "data" / "a.tif", slide())
    first = cut(tmp_path / "data", tmp_path / "cache")
    monkeypatch.setattr(tiles, "_cut_one", None)  # a second look would fail
    again = cut(tmp_path / "data", tmp_path / "cache")
    assert again.records == first.records
    assert again.stamp() == first.stamp()


def test_a_set_of_tiles_from_file_to_order(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    pyramid(tmp_path / "data" / "large.tif", slide(256, 512))
    for number in range(3):
        Image.fromarray(slide(60, 60)).save(tmp_path / "data" / f"{number}.png")
    for decoding in ("once", "each-time"):
        recipe = DataRecipe(tile=64, decode=decoding)
        images = load_images(tmp_path / "data", recipe=recipe, store_px=None, cache=tmp_path / "cache")
        assert len(images) == 3 + 32
        batch = images.read(np.array([0, 34]))
        assert batch.sizes.tolist() == [[60, 60], [64, 64]]
    assert images.survey is not None
    assert images.survey.kinds == {".tif": 32, ".png": 3}
    assert file_of(images.paths[20]) == "large.tif"
    slides = slides_of(images, np.arange(35))
    assert slides is not None
    assert sorted(slides.sizes.tolist()) == [1, 1, 1, 32]


def test_images_come_first_and_then_their_tiles() -> None:
    slides = Slides(np.repeat(np.arange(5), [100, 3, 1, 7, 9]))
    order = slides.order(8, 3, 0)
    assert len(order) == 120
    drawn = slides.of_each[order]
    assert np.bincount(drawn).tolist() == [24] * 5  # the largest does not rule
    assert all(sorted(drawn[start : start + 5]) == list(range(5)) for start in range(0, 120, 5))
    shown = [order[drawn == image] for image in range(5)]
    assert len(set(shown[0].tolist())) == 24  # none twice while there are others
    for image, count in ((1, 3), (3, 7), (4, 9)):
        times = np.bincount(shown[image] - shown[image].min())
        assert len(times) == count
        assert times.max() - times.min() <= 1
    assert np.array_equal(order, Slides(slides.of_each).order(8, 3, 0))
    assert not np.array_equal(order, slides.order(8, 3, 1))
    batches = np.concatenate([rows_of_step(np.arange(120), 8, 3, step, slides) for step in range(15)])
    assert np.array_equal(batches, order)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"tile": 4}, "at least 8 pixels"), ({"stride": 0}, "stride"), ({"tile_content": 2.0}, "tile_content"),
     ({"micrometres_per_px": 0.0}, "micrometres_per_px")],
)  # fmt: skip
def test_settings_that_cannot_be(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(TwofoldError, match=words):
        DataRecipe(**settings)


def test_micrometres_without_tiles_are_refused(tmp_path: Path) -> None:
    """They would be without effect."""
    (tmp_path / "data").mkdir()
    Image.fromarray(slide(64, 64)).save(tmp_path / "data" / "a.tif")
    with pytest.raises(
        TwofoldError, match=r"^micrometres_per_px is 0\.5, .* together with --tile\. Give --tile too\.$"
    ):
        load_images(tmp_path / "data", recipe=DataRecipe(micrometres_per_px=0.5), store_px=64, cache=tmp_path)


OF_COLOURS = (
    "PNG with a wide profile",
    "PNG: primaries of P3",
    "PNG: code points of BT.709",
    "PNG of 16 bits with a linear profile",
    "TIFF with primaries of P3",
    "TIFF, grey, with a table of light",
    "TIFF of 16 bits with a linear profile",
    "JPEG of Adobe RGB by its EXIF",
    "JPEG, grey, with a profile of colours",
)


@pytest.mark.parametrize("name", OF_COLOURS)
def test_a_tile_has_the_colours_of_its_part_of_the_image(name: str, tmp_path: Path) -> None:
    (case,) = (case for case in (*corpus_colours.CASES, *corpus_pixels.CASES) if case.name == name)
    whole = decode(case.content(), Rules(channels=3))
    assert "profile" in whole.traits.notes
    (tmp_path / "image").with_suffix(f".{name[:4].strip(' :,').lower()}").write_bytes(case.content())
    source = cut(tmp_path, tmp_path / "cache", tile=8, tile_content=0.0)
    assert len(source.records) > 3
    for number, record in enumerate(source.records):
        x, y, w, h = map(int, record.path.rpartition("#")[2].split(","))
        tile = decode(source.read(number), Rules(channels=3))
        assert np.abs(tile.pixels.astype(int) - whole.pixels[y : y + h, x : x + w]).max() <= 1
        assert "profile" in tile.traits.notes


def test_the_colours_of_a_tile_would_be_missed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Colours, "info", {})
    with pytest.raises(AssertionError):
        test_a_tile_has_the_colours_of_its_part_of_the_image("PNG with a wide profile", tmp_path)


def test_hdr_is_named_of_tiles_too(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(png(corpus_pixels.colour(), corpus_colours.points(9, 16)))
    source = cut(tmp_path, tmp_path / "cache", tile=8, tile_content=0.0)
    assert decode(source.read(0), Rules(channels=3)).traits.notes == ("hdr",)


@pytest.mark.parametrize("kind", ["TIFF", "TIFF of 16 bits", "PNG"])
def test_a_tile_of_an_image_on_its_side_is_upright(kind: str, tmp_path: Path) -> None:
    values = corpus_pixels.colour() if "16" not in kind else corpus_pixels.colour().astype(np.uint16) * 257
    exif = Image.Exif()
    exif[274] = 6
    chunk = (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    content = png(values, chunk) if kind == "PNG" else tiff(values, photometric=2, tags={274: (3, 6)})
    (tmp_path / f"image.{kind[:4].strip().lower()}").write_bytes(content)
    source = cut(tmp_path, tmp_path / "cache", tile=8, tile_content=0.0)
    first = decode(source.read(0), Rules(channels=3))
    assert source.records[0].path.endswith("#0,0,8,8")
    assert np.array_equal(first.pixels, np.rot90(corpus_pixels.colour()[:8, :8], -1))
    assert "turned" in first.traits.notes


def test_a_tile_of_a_transparent_image_lies_on_white(tmp_path: Path) -> None:
    pixels = np.concatenate([corpus_pixels.colour(), corpus_pixels.mask()], axis=2)
    (tmp_path / "image.png").write_bytes(png(pixels))
    source = cut(tmp_path, tmp_path / "cache", tile=8, tile_content=0.0)
    tile = decode(source.read(0), Rules(channels=3)).pixels
    assert np.abs(tile - corpus_pixels.on_white(pixels[:8, :8, :3], pixels[:8, :8, 3:])).max() <= 1


def test_equal_pixels_in_other_colours_are_kept_apart() -> None:
    plain = Image.fromarray(corpus_pixels.colour())
    wide, lying = plain.copy(), plain.copy()
    wide.info["icc_profile"] = profile(b"RGB ", 2.2, corpus_pixels.P3)
    lying.getexif()[274] = 6
    assert len({content_digest(image) for image in (plain, wide, lying)}) == 3
    assert content_digest(plain) == content_digest(plain.copy())
