"""DICOM files as pydicom writes them: rescaled, inverted, windowed, padded, in frames and in colour."""

import builtins
import importlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.corpus_pixels import P3, colour, through
from data.image_files import profile
from twofold.data import load_images, open_source
from twofold.data.decode import Rules, decode
from twofold.data.formats import UnreadableError
from twofold.data.sources.tiles import divided
from twofold.recipes.recipe import DataRecipe

BARE = b"\0" * 128 + b"DICM" + b"\2\0\0\0"
DRAW = np.random.default_rng(0)


def dicom(values: np.ndarray, kind: str = "MONOCHROME2", bits: int = 12, **tags: Any) -> bytes:
    """A file of (H, W), (frames, H, W) or (H, W, 3) values."""
    pydicom = pytest.importorskip("pydicom")
    data = pydicom.Dataset()
    is_colour = values.shape[-1] == 3
    shape = values.shape[:2] if is_colour else values.shape[-2:]
    data.Rows, data.Columns = shape
    data.SamplesPerPixel, data.PhotometricInterpretation = (3 if is_colour else 1), kind
    if is_colour:
        data.PlanarConfiguration = 0
    data.BitsAllocated, data.BitsStored = 8 * values.itemsize, 8 if is_colour else bits
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(values.dtype.kind == "i")
    if values.ndim == 3 and not is_colour:
        data.NumberOfFrames = len(values)
    for name, value in tags.items():
        setattr(data, name, value)
    data.PixelData = values.tobytes()
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    file = io.BytesIO()
    pydicom.dcmwrite(file, data, enforce_file_format=True)
    return file.getvalue()


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint(np.clip((values.astype(np.float64) - low) / (high - low), 0, 1) * 255).astype(np.uint8)


VALUES = DRAW.integers(0, 4096, (20, 30), np.uint16)


def pixels(content: bytes, **rules: Any) -> np.ndarray:
    return decode(content, Rules(**{"channels": 1, **rules})).pixels


def test_numbers_of_twelve_bits_and_their_inverse() -> None:
    assert np.array_equal(pixels(dicom(VALUES))[:, :, 0], scaled(VALUES, 0, 4095))
    assert np.array_equal(pixels(dicom(VALUES, "MONOCHROME1"))[:, :, 0], 255 - scaled(VALUES, 0, 4095))


def test_numbers_are_rescaled_before_a_range_is_applied() -> None:
    content = dicom(VALUES, RescaleSlope=2, RescaleIntercept=-1000)
    found = pixels(content, range=(-200.0, 3000.0))[:, :, 0]
    assert np.array_equal(found, scaled(VALUES * 2.0 - 1000, -200, 3000))
    with pytest.raises(UnreadableError, match="--range LOW HIGH"):
        pixels(content)


def test_the_window_is_the_range_of_its_own() -> None:
    content = dicom(VALUES, WindowCenter=[500, 1], WindowWidth=[400, 2], RescaleSlope=1, RescaleIntercept=-1000)
    assert np.array_equal(pixels(content, range_from="image")[:, :, 0], scaled(VALUES - 1000.0, 300, 700))


def test_padding_is_black() -> None:
    values = VALUES.astype(np.int16)
    values[:4] = -2000
    content = dicom(values, bits=16, PixelPaddingValue=-2000, RescaleSlope=1, RescaleIntercept=-24)
    decoded = decode(content, Rules(channels=1, range=(-3000.0, 4000.0)))
    assert not decoded.pixels[:4].any()
    assert np.array_equal(decoded.pixels[4:, :, 0], scaled(values[4:] - 24.0, -3000, 4000))
    assert "missing values" in decoded.traits.notes


def test_the_first_frame_is_read_or_all_as_channels() -> None:
    frames = DRAW.integers(0, 4096, (4, 20, 30), np.uint16)
    decoded = decode(dicom(frames), Rules(channels=1))
    assert np.array_equal(decoded.pixels[:, :, 0], scaled(frames[0], 0, 4095))
    assert "frames" in decoded.traits.notes
    found = pixels(dicom(frames), channels=4, pages="channels")
    assert np.array_equal(found, scaled(frames.transpose(1, 2, 0), 0, 4095))


def test_colour() -> None:
    values = DRAW.integers(0, 256, (20, 30, 3), np.uint8)
    assert np.array_equal(pixels(dicom(values, "RGB", 8), channels=3), values)


def test_a_folder_of_files_has_one_range(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(3):
        content = dicom(DRAW.integers(0, 900 + number, (20, 30), np.uint16), RescaleSlope=1, RescaleIntercept=-500)
        (folder / f"{number}.dcm").write_bytes(content)
    images = load_images(folder, recipe=DataRecipe(channels=1), store_px=None, cache=tmp_path / "cache")
    assert images.range is not None
    assert -500 <= images.range[0] < -490
    assert images.survey is not None
    assert images.survey.facts.formats == {"DICOM": 3}


def test_without_the_extra_one_line_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pydicom is installed it is hidden."""
    usual = importlib.import_module

    def missing(name: str, package: str | None = None) -> Any:
        if name.startswith("pydicom"):
            raise builtins.ImportError(name)
        return usual(name, package)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UnreadableError, match=r"pip install 'twofold\[dicom\]'"):
        pixels(BARE)


def test_a_broken_file_is_set_aside() -> None:
    pytest.importorskip("pydicom")
    for content in (BARE, dicom(VALUES)[:-50]):
        with pytest.raises(UnreadableError):
            pixels(content)


def test_a_tile_of_an_inverted_file_with_padding_is_what_the_whole_holds_there(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    content = dicom(np.where(VALUES < 400, 7, VALUES), "MONOCHROME1", PixelPaddingValue=7, RescaleIntercept=-1000)
    (tmp_path / "data" / "a.dcm").write_bytes(content)
    source = divided(open_source(tmp_path / "data"), DataRecipe(tile=10, tile_content=0.0), tmp_path / "cache")
    whole = pixels(content, range=(-1000.0, 3095.0))
    for number, record in enumerate(source.records):
        x, y, w, h = map(int, record.path.partition("#")[2].split(","))
        tile = pixels(source.read(number), range=(-3095.0, 1000.0))  # type: ignore[arg-type]
        assert np.abs(tile.astype(int) - whole[y : y + h, x : x + w]).max() <= 1  # halves round to either side


@pytest.mark.parametrize("place", ["file", "optical path"])
def test_the_profile_of_a_file_in_colour_is_applied(place: str) -> None:
    pydicom = pytest.importorskip("pydicom")
    wide = profile(b"RGB ", 2.2, P3)
    wide += bytes(len(wide) % 2)
    path = pydicom.Dataset()
    path.ICCProfile = wide
    tags = {"ICCProfile": wide} if place == "file" else {"OpticalPathSequence": [path]}
    decoded = decode(dicom(colour(), "RGB", 8, **tags), Rules(channels=3))
    assert np.abs(decoded.pixels - through(P3, 2.2)).max() <= 1
    assert decoded.traits.notes == ("profile",)
