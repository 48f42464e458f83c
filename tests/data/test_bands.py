"""Images of any number of bands: as tifffile and NumPy wrote them, scaled band by band."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from data.corpus_headers import four_bands, jpeg_2000_of_12
from data.corpus_pixels import colour, mask, numbers, shown
from twofold.data import load_images, open_source
from twofold.data.decode import Rules, decode
from twofold.data.facts import look_at
from twofold.data.formats import UnreadableError
from twofold.data.ranges import measure_range
from twofold.data.rgb import to_rgb
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe

DRAW = np.random.default_rng(0)


def tiff(values: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def bands(count: int, kind: Any = np.uint16, side: tuple[int, int] = (40, 45)) -> np.ndarray:
    return DRAW.integers(0, np.iinfo(kind).max, (*side, count), kind, endpoint=True)


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """The definition, in whole arithmetic of floats."""
    return np.rint(np.clip((values.astype(np.float64) - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def pixels(content: Any, **rules: Any) -> np.ndarray:
    return decode(content, Rules(**rules)).pixels


THIRTEEN = bands(13)
WAYS: dict[str, bytes] = {
    "side by side": tiff(THIRTEEN, photometric="minisblack", planarconfig="contig"),
    "one after the other": tiff(THIRTEEN.transpose(2, 0, 1), photometric="minisblack", planarconfig="separate"),
    "tiled, deflated, predicted": tiff(
        THIRTEEN, photometric="minisblack", planarconfig="contig", tile=(16, 16), compression="zlib", predictor=True
    ),
    "big-endian": tiff(THIRTEEN, photometric="minisblack", planarconfig="contig", byteorder=">"),
    "BigTIFF": tiff(THIRTEEN, photometric="minisblack", planarconfig="contig", bigtiff=True),
    "npy": npy(THIRTEEN),
    "npy, channels first": npy(THIRTEEN.transpose(2, 0, 1)),
    "npz": npz(anything=THIRTEEN),
}


@pytest.mark.parametrize("way", WAYS)
def test_all_bands_are_channels(way: str) -> None:
    assert np.array_equal(pixels(WAYS[way], channels=13), scaled(THIRTEEN, 0, 65535))


@pytest.mark.parametrize("way", WAYS)
def test_chosen_bands_come_in_their_order(way: str) -> None:
    found = pixels(WAYS[way], channels=3, bands=(13, 1, 7))
    assert np.array_equal(found, scaled(THIRTEEN[:, :, [12, 0, 6]], 0, 65535))


def test_each_band_has_a_range_of_its_own() -> None:
    range_ = (0.0, 100.0, 200.0, 60000.0)
    found = pixels(WAYS["npy"], channels=2, bands=(2, 5), range=range_)
    expected = [scaled(THIRTEEN[:, :, 1], 0, 100), scaled(THIRTEEN[:, :, 4], 200, 60000)]
    assert np.array_equal(found, np.stack(expected, axis=2))


def test_numbers_of_8_bits_stay_as_they_are() -> None:
    values = bands(5, np.uint8)
    assert np.array_equal(pixels(tiff(values, photometric="minisblack", planarconfig="contig"), channels=5), values)
    assert np.array_equal(pixels(npy(values), channels=5), values)


def test_transparency_and_colour_are_bands_like_others() -> None:
    values = bands(4, np.uint8)
    file = io.BytesIO()
    Image.fromarray(values, "RGBA").save(file, "png")
    assert np.array_equal(pixels(file.getvalue(), channels=4), values)
    assert np.array_equal(pixels(file.getvalue(), channels=2, bands=(4, 2)), values[:, :, [3, 1]])
    jpeg = io.BytesIO()
    Image.fromarray(values[:, :, 0]).save(jpeg, "jpeg")
    theirs = np.asarray(Image.open(jpeg))
    assert np.array_equal(pixels(jpeg.getvalue(), channels=2, bands=(1, 1)), np.stack([theirs, theirs], axis=2))


def test_pages_are_channels_where_that_is_asked_for() -> None:
    pages = bands(5).transpose(2, 0, 1)
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for page in pages:
            writer.write(page, photometric="minisblack", contiguous=False)
    content = file.getvalue()
    decoded = decode(content, Rules(channels=5, pages="channels"))
    assert np.array_equal(decoded.pixels, scaled(pages.transpose(1, 2, 0), 0, 65535))
    assert "pages" in decoded.traits.notes
    assert np.array_equal(pixels(content, channels=1), scaled(pages[0], 0, 65535)[:, :, None])
    chosen = pixels(content, channels=2, bands=(4, 2), pages="channels")
    assert np.array_equal(chosen, scaled(pages[[3, 1]].transpose(1, 2, 0), 0, 65535))


def test_pages_that_differ_are_no_channels() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(bands(1)[:, :, 0], photometric="minisblack")
        writer.write(bands(1, side=(4, 4))[:, :, 0], photometric="minisblack")
    with pytest.raises(UnreadableError, match=r"its pages differ \(4 x 4 of 16 bits, 45 x 40 of 16 bits\)"):
        pixels(file.getvalue(), channels=2, pages="channels")


def test_bands_that_are_not_there_are_said() -> None:
    with pytest.raises(UnreadableError, match="it has 13 bands, not 5 as --channels says"):
        pixels(WAYS["npy"], channels=5)
    with pytest.raises(UnreadableError, match="it has 13 bands, not the band 14 that --bands asks for"):
        pixels(WAYS["npy"], channels=1, bands=(14,))


def test_no_data_is_black_and_said() -> None:
    values = bands(2).astype(np.float32)
    values[2, 3, 0] = np.nan
    decoded = decode(npy(values), Rules(channels=2, range=(0.0, 65535.0)))
    expected = scaled(np.nan_to_num(values), 0, 65535)
    assert np.array_equal(decoded.pixels, expected)
    assert "missing values" in decoded.traits.notes
    marked = bands(2)
    marked[:, :5] = 7
    content = tiff(marked, photometric="minisblack", planarconfig="contig", extratags=[(42113, "s", 2, "7", False)])
    expected = scaled(marked, 0, 65535)
    expected[marked == 7] = 0
    assert np.array_equal(pixels(content, channels=2), expected)


def test_a_large_image_shrinks_band_by_band_as_a_grey_one_does() -> None:
    values = bands(6, np.uint8, (90, 120))
    found = pixels(npy(values), channels=6, short_px=17)
    for band in range(6):
        assert np.array_equal(found[:, :, [band]], pixels(npy(values[:, :, band]), channels=1, short_px=17))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (npy(np.zeros((50, 40, 40), np.uint8)), "stack of images"),
        (npy(np.zeros(9, np.uint8)), r"its shape is \(9,\)"),
        (npy(np.zeros((4, 4), "complex64")), "of the type complex64"),
        (npz(a=np.zeros((4, 4)), b=np.zeros((4, 4))), r"2 arrays \(a, b\)"),
        (WAYS["npy"][:90], "cannot be read as a NumPy file"),
    ],
)
def test_arrays_that_are_no_image_are_refused(content: bytes, words: str) -> None:
    with pytest.raises(UnreadableError, match=words):
        pixels(content, channels=1)


def test_objects_in_a_numpy_file_are_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "was-here",)

    np.save(tmp_path / "a.npy", np.array([Trap()], object), allow_pickle=True)
    with pytest.raises(UnreadableError, match="as a NumPy file"):
        pixels((tmp_path / "a.npy").read_bytes(), channels=1)
    assert not (tmp_path / "was-here").exists()


def written(folder: Path, count: int = 12) -> list[np.ndarray]:
    """Files of 13 bands of 12 bits, each band with numbers of its own."""
    folder.mkdir()
    images = [
        DRAW.integers(0, 4096, (10, 12, 13), np.uint16) // np.arange(1, 14, dtype=np.uint16) for _ in range(count)
    ]
    for number, image in enumerate(images):
        tifffile.imwrite(folder / f"{number:02d}.tif", image, photometric="minisblack", planarconfig="contig")
    return images


def test_a_folder_of_thirteen_bands_from_file_to_store(tmp_path: Path) -> None:
    images = written(tmp_path / "data")
    recipe = DataRecipe(channels=13)
    for decoding in ("once", "each-time"):
        opened = load_images(
            tmp_path / "data",
            recipe=DataRecipe(channels=13, decode=decoding),
            store_px=None,
            cache=tmp_path / "cache",
        )
        ends = np.percentile(np.concatenate([one.reshape(-1, 13) for one in images]), (0.1, 99.9), axis=0)
        assert opened.range is not None
        np.testing.assert_allclose(np.array(opened.range).reshape(13, 2).T, ends)
        batch = opened.read(np.arange(len(images)))
        assert batch.images.shape == (12, 13, 10, 12)
        for image, found in zip(images, batch.images.numpy(), strict=True):
            expected = [scaled(image[:, :, band], *ends[:, band]) for band in range(13)]
            assert np.array_equal(found, np.stack(expected))
    assert opened.survey is not None
    assert "16 bits, 13 bands" in opened.survey.lines()[0]
    chosen = DataRecipe(channels=3, bands=(4, 3, 2))
    some = load_images(tmp_path / "data", recipe=chosen, store_px=None, cache=tmp_path / "cache")
    assert some.fingerprint != opened.fingerprint
    assert (some.read(np.arange(12)).images == batch.images[:, [3, 2, 1]]).all()
    assert measure_range(open_source(tmp_path / "data"), Rules.of(recipe, None)) == opened.range


def test_without_asking_the_first_band_is_read_as_ever(tmp_path: Path) -> None:
    images = written(tmp_path / "data", 3)
    opened = load_images(tmp_path / "data", recipe=DataRecipe(channels=1), store_px=None, cache=tmp_path / "cache")
    assert "TF064" in {finding.code for finding in opened.findings}
    low, high = opened.range or (0.0, 1.0)
    found = opened.read(np.arange(3)).images
    assert np.array_equal(found[1, 0].numpy(), scaled(images[1][:, :, 0], low, high))


def test_numpy_files_in_a_folder_are_images_where_no_others_are(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for kind in ("oak", "elm"):
        (folder / kind).mkdir(parents=True)
        (folder / kind / "1.npy").write_bytes(npy(bands(5)))
    source = open_source(folder)
    assert [(one.path, one.label) for one in source.records] == [("elm/1.npy", "elm"), ("oak/1.npy", "oak")]
    assert look_at(source).bands == {5: 2}
    Image.new("RGB", (4, 4)).save(folder / "photo.png")
    assert [one.path for one in open_source(folder).records] == ["photo.png"]


def test_a_stack_in_a_file_is_a_data_set(tmp_path: Path) -> None:
    stack = (
        bands(5, np.uint8, (6, 40)).transpose(0, 1, 2)[None].repeat(3, axis=0)
        // np.arange(1, 4, dtype=np.uint8)[:, None, None, None]
    )
    np.save(tmp_path / "a.npy", stack)
    source = open_source(tmp_path / "a.npy")
    assert [one.path for one in source.records] == ["a.npy#0", "a.npy#1", "a.npy#2"]
    for number in range(3):
        content = source.read(number)
        assert isinstance(content, bytes)
        assert np.array_equal(pixels(content, channels=5), stack[number])
    np.savez(
        tmp_path / "b.npz",
        train_images=stack[:, :, :, 0],
        train_labels=np.array([[1], [0], [1]]),
        test_images=stack[:2, :, :, 1],
        test_labels=np.array([[0], [1]]),
    )
    records = open_source(tmp_path / "b.npz").records
    assert [(one.path, one.label, one.split) for one in records] == [
        ("b.npz#train_images/0", "1", "train"),
        ("b.npz#train_images/1", "0", "train"),
        ("b.npz#train_images/2", "1", "train"),
        ("b.npz#test_images/0", "0", "test"),
        ("b.npz#test_images/1", "1", "test"),
    ]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a": np.zeros(3)}, r"float64 of the shape \(3,\), but a stack of images is"),
        ({"a": np.zeros(3), "b": np.zeros(3)}, "the arrays a, b, but none is called images"),
        ({"images": np.zeros((4, 8, 8)), "labels": np.zeros(3)}, "4 images in images, but 3 labels"),
    ],
)
def test_a_file_without_a_stack_is_one_error(arrays: dict[str, np.ndarray], words: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(TwofoldError, match=words):
        open_source(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"channels": 33}, "1 to 32"),
        ({"channels": 2, "bands": (1, 2, 3)}, r"as many bands as channels \(2\)"),
        ({"channels": 1, "bands": (0,)}, "counted from 1"),
        ({"pages": "all"}, "pages"),
        ({"channels": 5, "range": (0.0, 1.0, 0.0, 1.0)}, "such a pair for each channel"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(TwofoldError, match=words):
        DataRecipe(**settings)


def test_people_see_the_first_three_channels() -> None:
    five = bands(5, np.uint8)
    assert np.array_equal(to_rgb(five), five[:, :, :3])
    assert np.array_equal(to_rgb(five[:, :, :1]), five[:, :, [0, 0, 0]])
    assert np.array_equal(to_rgb(five[:, :, :2]), five[:, :, [0, 1, 1]])


def test_the_bands_of_a_jpeg_2000_are_those_that_were_written() -> None:
    assert np.array_equal(decode(four_bands(), Rules(channels=4)).pixels, np.concatenate([colour(), mask()], axis=2))
    deep = decode(jpeg_2000_of_12(), Rules(channels=1, bands=(1,), range=(0.0, 4095.0)))
    assert np.abs(deep.pixels - shown(numbers("u2", 1, 4095), 0, 4095)[:, :, :1].astype(int)).max() <= 1
