"""Pages and frames as images of their own: as tifffile, Pillow and pydicom read them, with the label of the file."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageSequence

from twofold.data import load_images, open_source
from twofold.data.decode import Rules, decode
from twofold.data.pool import pool_of
from twofold.data.record import file_of
from twofold.data.slides import slides_of
from twofold.data.sources import pages
from twofold.data.sources.pages import PagedSource
from twofold.data.sources.tiles import divided
from twofold.data.tiff_alone import page_alone
from twofold.data.tiff_pages import all_pages
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe

DRAW = np.random.default_rng(0)


def stack(count: int = 3, side: tuple[int, ...] = (40, 50), kind: Any = np.uint16, most: int = 4096) -> np.ndarray:
    return DRAW.integers(0, most, (count, *side), kind)


def write(path: Path, values: np.ndarray, **options: Any) -> Path:
    """A page for each of the values."""
    path.parent.mkdir(exist_ok=True, parents=True)
    whole = {name: options.pop(name) for name in ("bigtiff", "byteorder") if name in options}
    with tifffile.TiffWriter(path, **whole) as writer:
        for page in values:
            writer.write(page, contiguous=False, **{"photometric": "minisblack", **options})
    return path


def paged(path: Path, cache: Path, **settings: Any) -> Any:
    return divided(open_source(path, cache=cache), DataRecipe(**{"pages": "images", **settings}), cache)


def scaled(values: np.ndarray, high: float = 65535) -> np.ndarray:
    return np.rint(values.astype(np.float64) / high * 255).astype(np.uint8)


WAYS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 7},
    "one strip": {},
    "tiles": {"tile": (16, 32)},
    "deflated": {"compression": "zlib", "predictor": True},
    "big-endian": {"byteorder": ">"},
    "BigTIFF": {"bigtiff": True, "tile": (16, 16)},
    "big-endian BigTIFF": {"bigtiff": True, "byteorder": ">"},
}


@pytest.mark.parametrize("way", WAYS)
def test_pages_are_those_of_tifffile(way: str, tmp_path: Path) -> None:
    path = write(tmp_path / "data" / "a.tif", stack(), **WAYS[way])
    source = paged(tmp_path / "data", tmp_path / "cache")
    assert [record.path for record in source.records] == [f"a.tif#page={page}" for page in (1, 2, 3)]
    assert {record.group for record in source.records} == {"a.tif"}
    with tifffile.TiffFile(path) as file:
        for number, page in enumerate(file.pages):
            decoded = decode(source.read(number), Rules(channels=1, range_from="type"))
            assert np.array_equal(decoded.pixels[:, :, 0], scaled(page.asarray()))
            assert "frames" not in decoded.traits.notes
            assert np.array_equal(tifffile.imread(io.BytesIO(source.read(number))), page.asarray())


def test_pages_that_are_all_the_first_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "data" / "a.tif", stack())
    source = paged(tmp_path / "data", tmp_path / "cache")
    first = source.place(0)[1].at
    monkeypatch.setattr(pages, "page_alone", lambda file, _: page_alone(file, first))
    with tifffile.TiffFile(path) as file:
        assert not np.array_equal(tifffile.imread(io.BytesIO(source.read(1))), file.pages[1].asarray())


def test_what_a_page_says_of_itself_stays(tmp_path: Path) -> None:
    """Its orientation, what stands for no number, and that its smallest number is white."""
    values = stack()
    values[1, :5] = 7
    tags = [(42113, "s", 0, "7", True), (274, "H", 1, 3, True)]
    write(tmp_path / "data" / "a.tif", values, photometric="miniswhite", extratags=tags)
    source = paged(tmp_path / "data", tmp_path / "cache")
    decoded = decode(source.read(1), Rules(channels=1, range=(0.0, 65535.0)))
    expected = np.where(values[1] == 7, 0, 255 - scaled(values[1]))
    assert np.array_equal(decoded.pixels[:, :, 0], expected[::-1, ::-1])
    assert {"missing values", "turned"} <= set(decoded.traits.notes)


def test_thumbnails_are_no_pages_and_a_file_of_one_page_stays_whole(tmp_path: Path) -> None:
    values = stack(4, (30, 30), np.uint8, 255)
    (tmp_path / "data").mkdir()
    with tifffile.TiffWriter(tmp_path / "data" / "a.tif") as writer:
        for number, page in enumerate(values):
            writer.write(page, photometric="minisblack", contiguous=False, subfiletype=number == 1)
    write(tmp_path / "data" / "b.tif", values[:1])
    Image.fromarray(values[0]).save(tmp_path / "data" / "c.png")
    (tmp_path / "data" / "d.tif").write_bytes(b"II*\0nothing")
    source = paged(tmp_path / "data", tmp_path / "cache")
    assert [record.path for record in source.records] == [
        "a.tif#page=1", "a.tif#page=3", "a.tif#page=4", "b.tif", "c.png", "d.tif",
    ]  # fmt: skip
    assert np.array_equal(tifffile.imread(io.BytesIO(source.read(2))), values[3])
    assert source.read(4) == (tmp_path / "data" / "c.png").read_bytes()
    assert source.findings[-1].text == "1 of 4 files hold several pages or frames, 3 in all, each an image of its own"
    images = load_images(source, recipe=DataRecipe(channels=1, max_unreadable_fraction=0.5), store_px=None,
                         cache=tmp_path / "cache")  # fmt: skip
    assert [one.path for one in images.quarantine] == ["d.tif"]


@pytest.mark.parametrize("form", ["gif", "webp", "png"])
def test_frames_are_those_of_pillow(form: str, tmp_path: Path) -> None:
    """Forty, so that several threads read one file."""
    frames = [Image.fromarray(frame) for frame in np.repeat(stack(40, (6, 9, 3), np.uint8, 255), 4, axis=2)]
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / f"a.{form}"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    source = paged(tmp_path / "data", tmp_path / "cache")
    images = load_images(source, recipe=DataRecipe(pages="images"), store_px=None, cache=tmp_path / "cache")
    assert images.paths == [f"a.{form}#page={page}" for page in range(1, 41)]
    with Image.open(path) as opened:
        theirs = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(opened)]
    ours = images.read(np.arange(40)).images.numpy().transpose(0, 2, 3, 1)
    assert np.array_equal(ours, np.stack(theirs))
    for frame in (30, 5, 2, 39, 3):  # by one thread, back and forth
        read = source.read(frame)
        assert isinstance(read, Image.Image)
        assert np.array_equal(np.asarray(read.convert("RGB")), theirs[frame])


def test_frames_of_a_dicom_file_with_what_it_says_of_each(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom", reason="needs twofold[dicom]")
    values = stack(3, (12, 10))

    def groups(**tags: Any) -> Any:
        inside, group = pydicom.Dataset(), pydicom.Dataset()
        inside.update(pydicom.Dataset())
        for name, value in tags.items():
            setattr(inside, name, value)
        group.PixelValueTransformationSequence = [inside]
        return group

    data = pydicom.Dataset()
    data.Rows, data.Columns, data.NumberOfFrames = 12, 10, 3
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME1"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PerFrameFunctionalGroupsSequence = [groups(RescaleSlope=slope, RescaleIntercept=-5) for slope in (1, 2, 3)]
    data.PixelData = values.tobytes()
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    (tmp_path / "data").mkdir()
    pydicom.dcmwrite(tmp_path / "data" / "a.dcm", data, enforce_file_format=True)
    source = paged(tmp_path / "data", tmp_path / "cache")
    assert len(source.records) == 3
    for frame in range(3):
        decoded = decode(source.read(frame), Rules(channels=1, range=(0.0, 13000.0)))
        real = values[frame].astype(np.float64) * (frame + 1) - 5
        assert np.array_equal(decoded.pixels[:, :, 0], 255 - scaled(np.clip(real, 0, None), 13000))
    content = (tmp_path / "data" / "a.dcm").read_bytes()
    channels = decode(content, Rules(channels=3, bands=(1, 2, 3), pages="channels", range=(0.0, 13000.0))).pixels
    assert np.array_equal(255 - channels[:, :, 2], scaled(np.clip(values[2].astype(float) * 3 - 5, 0, None), 13000))


def test_a_page_is_read_without_the_others(tmp_path: Path) -> None:
    values = stack(20, (64, 64))
    path = write(tmp_path / "a.tif", values)
    read: list[int] = []

    class Counted(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            content = super().read(size)
            read.append(len(content))
            return content

    with Counted(path) as file:
        places = [at for at, _ in all_pages(file)]  # type: ignore[arg-type]
        read.clear()
        content = page_alone(file, places[11])  # type: ignore[arg-type]
    assert np.array_equal(tifffile.imread(io.BytesIO(content)), values[11])
    assert sum(read) < values[0].nbytes + 2000
    with path.open("rb") as file, pytest.raises(TwofoldError, match="truncated"):
        page_alone(io.BytesIO(file.read()[: places[11] + 100]), places[11])


@pytest.mark.parametrize("packed", [False, True])
def test_pages_have_the_label_and_the_split_of_their_file(packed: bool, tmp_path: Path) -> None:
    values = stack(4, (20, 20), np.uint16)
    for number, name in enumerate(("train/cat/1", "train/dog/2", "test/cat/3", "test/dog/4")):
        write(tmp_path / "data" / f"{name}.tif", values[: 2 + number % 2], metadata=None)
    data = tmp_path / "data"
    if packed:
        data = tmp_path / "data.zip"
        with zipfile.ZipFile(data, "w") as archive:
            for path in sorted((tmp_path / "data").rglob("*.tif")):
                archive.write(path, path.relative_to(tmp_path / "data"))
    for decoding in ("once", "each-time"):
        recipe = DataRecipe(channels=1, pages="images", decode=decoding)
        images = load_images(data, recipe=recipe, store_px=None, cache=tmp_path / "cache")
        assert images.labels == [*["cat"] * 2, *["dog"] * 3, *["cat"] * 2, *["dog"] * 3]
        assert images.splits == [*["test"] * 5, *["train"] * 5]
        assert images.groups == [file_of(path) for path in images.paths]
        pixels = images.read(np.arange(10)).images.numpy()[:, 0]
        low, high = images.range or (0, 0)
        expected = np.clip((values[[0, 1, 0, 1, 2]].astype(float) - low) / (high - low), 0, 1) * 255
        assert np.array_equal(pixels, np.rint(np.concatenate([expected, expected])).astype(np.uint8))
    assert images.survey is not None
    assert images.survey.kinds == {".tif": 10}
    assert "[TF074]" in "\n".join(images.survey.lines())
    slides = slides_of(images, np.arange(10))
    assert slides is not None
    assert slides.sizes.tolist() == [2, 3, 2, 3]


def test_pages_are_cut_into_tiles_without_reading_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = stack(3, (100, 64), np.uint8, 255)
    write(tmp_path / "data" / "a.tif", values, tile=(32, 32))
    monkeypatch.setattr(pages, "page_alone", None)  # a whole page would fail
    source = paged(tmp_path / "data", tmp_path / "cache", tile=64, tile_content=0.0)
    assert [record.path for record in source.records] == [
        f"a.tif#page={page}#0,{y},64,64" for page in (1, 2, 3) for y in (0, 36)
    ]
    assert {file_of(record.path) for record in source.records} == {"a.tif"}
    for number in range(6):
        top = 36 * (number % 2)
        tile = decode(source.read(number), Rules(channels=1)).pixels[:, :, 0]
        assert np.array_equal(tile, values[number // 2, top : top + 64])


def test_where_pages_lie_is_kept_and_pixels_are_shared_with_the_first_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "data" / "a.tif", stack(3))
    first = paged(tmp_path / "data", tmp_path / "cache")
    monkeypatch.setattr(pages, "_pages_of", None)  # a second look would fail
    again = paged(tmp_path / "data", tmp_path / "cache")
    assert isinstance(again, PagedSource)
    assert (again.records, again.stamp()) == (first.records, first.stamp())
    assert divided(again, DataRecipe(pages="images"), tmp_path / "cache") is again
    pools = {pool_of(tmp_path, Rules.of(DataRecipe(pages=way), 32)) for way in ("first", "images")}
    assert len(pools) == 1
    assert isinstance(open_source(tmp_path / "data"), type(divided(open_source(tmp_path / "data"), DataRecipe(), None)))


def test_the_finding_on_unread_pages_names_the_flag(tmp_path: Path) -> None:
    write(tmp_path / "data" / "a.tif", stack(3))
    images = load_images(tmp_path / "data", recipe=DataRecipe(channels=1), store_px=None, cache=tmp_path / "cache")
    assert len(images) == 1
    told = next(finding for finding in images.findings if finding.code == "TF071")
    assert "--pages images" in told.check.fix
