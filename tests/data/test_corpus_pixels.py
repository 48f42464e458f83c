"""Every image file of the corpus shows the pixels that are due, to within one level, or has its reason."""

import io
import sys
from importlib import import_module

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from torchvision.io import ImageReadMode, decode_image

from data import corpus_colours, corpus_headers, corpus_pixels
from data.corpus_pixels import FIELDS, HEIC, P3, Case, colour, cut_jpeg, deep_png, numbers
from data.image_files import dng, png, profile, saved
from twofold.data import Rules, UnreadableError, decode, formats, samples
from twofold.data.readers import open_image
from twofold.data.samples import Samples

CASES = [*corpus_pixels.CASES, *corpus_colours.CASES, *corpus_headers.CASES]
READ = [case for case in CASES if not case.reason]
RANGES = {"data range", "own range", "type range", "constant"}


def test_the_corpus_is_large_and_its_names_are_different() -> None:
    assert len(CASES) >= 80
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("case", READ, ids=lambda case: case.name)
def test_the_pixels_are_those_that_were_written(case: Case, channels: int) -> None:
    decoded = decode(case.content(), Rules(channels=channels, **case.rules))
    assert decoded.pixels.dtype == np.uint8
    if case.truth is not None:
        truth = np.asarray(case.truth(), float)
        truth = truth if channels == 3 else np.rint(truth @ [[0.299], [0.587], [0.114]])
        assert decoded.pixels.shape == truth.shape
        assert np.abs(decoded.pixels - truth).max() <= 1
    assert set(decoded.traits.notes) - RANGES == set(case.notes.split()) or case.notes in decoded.traits.notes


@pytest.mark.parametrize("case", [case for case in CASES if case.reason], ids=lambda case: case.name)
def test_what_cannot_be_shown_has_its_reason(case: Case, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnreadableError, match=case.reason) as raised:
        decode(case.content(), Rules(channels=3, **case.rules))
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_what_is_wrong_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison above fails where 16 bits are cut to their high byte, as Pillow alone does it."""
    case = next(case for case in CASES if case.name == "PNG in colour, 12 bits in 16")
    monkeypatch.setattr(samples, "scale", lambda values, range_: (values >> 8).astype(np.uint8))
    assert case.truth is not None
    pixels = decode(case.content(), Rules(channels=3, **case.rules)).pixels
    assert np.abs(pixels - case.truth().astype(float)).max() > 200
    assert len(np.unique(pixels)) <= 17


OTHERWISE = "no differences, whatever the tag says"  # tifffile undoes them, libtiff does not
TIFFS = [case for case in READ if case.content()[:2] in (b"II", b"MM") and OTHERWISE not in case.name]


@pytest.mark.parametrize("case", TIFFS, ids=lambda case: case.name)
def test_tifffile_reads_the_same_numbers(case: Case) -> None:
    tifffile = pytest.importorskip("tifffile")
    opened = open_image(case.content())
    with tifffile.TiffFile(io.BytesIO(case.content())) as file:
        page = next(page for page in file.pages if not page.is_reduced)
        try:
            values = page.asarray()
        except (ValueError, NotImplementedError) as error:  # it needs a library of its own for some layouts
            pytest.skip(str(error))
        if page.axes.startswith("S"):
            values = np.moveaxis(values, 0, 2)
    if not isinstance(opened, Samples):
        assert page.bitspersample <= 8 or opened.mode == "CMYK"
        return
    assert opened.bits == page.bitspersample
    ours = opened.read(0, opened.size[1])
    theirs = values.reshape(*ours.shape[:2], -1)[:, :, : ours.shape[2]]
    assert np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f")


@pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG", "GIF"])
def test_torchvision_reads_the_same_colours(kind: str) -> None:
    content = saved(Image.fromarray(colour()), kind)
    theirs = decode_image(torch.frombuffer(bytearray(content), dtype=torch.uint8), ImageReadMode.RGB)
    ours = decode(content, Rules(channels=3)).pixels
    assert np.abs(ours.astype(int) - theirs.permute(1, 2, 0).numpy()).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_colours_are_those_of_littlecms(kind: str) -> None:
    wide = profile(b"RGB ", 2.2, P3)
    content = saved(Image.fromarray(colour()), kind, icc_profile=wide)
    plain = Image.open(io.BytesIO(content)).convert("RGB")
    theirs = ImageCms.profileToProfile(
        plain, ImageCms.ImageCmsProfile(io.BytesIO(wide)), ImageCms.createProfile("sRGB")
    )
    assert theirs is not None
    assert np.array_equal(decode(content, Rules(channels=3)).pixels, np.asarray(theirs))
    assert np.abs(np.asarray(theirs, int) - np.asarray(plain, int)).max() > 30, "the profile changes something"


def test_profiles_of_16_bits_are_those_of_littlecms_at_8_bits() -> None:
    """LittleCMS takes 8 bits: it agrees where a number of 16 bits is one of 8 bits."""
    wide = profile(b"RGB ", 2.2, P3)
    eight = decode(saved(Image.fromarray(colour()), "PNG", icc_profile=wide), Rules(channels=3)).pixels
    deep = decode(deep_png(wide, colour().astype(np.uint16) * 257), Rules(channels=3)).pixels
    assert np.abs(deep.astype(int) - eight).max() <= 1


def test_a_profile_at_8_bits_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    case = next(case for case in CASES if case.name == "TIFF of 16 bits with a linear profile")
    assert case.truth is not None
    monkeypatch.setattr(import_module("twofold.data.decode"), "exact_profile", lambda profile: None)
    pixels = decode(case.content(), Rules(channels=3, **case.rules)).pixels
    assert np.abs(pixels - case.truth()).max() > 1


def test_the_profile_of_srgb_changes_no_bit() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    decoded = decode(saved(Image.fromarray(colour()), "PNG", icc_profile=srgb), Rules(channels=3))
    assert np.array_equal(decoded.pixels, colour())
    assert decoded.traits.notes == ()


def test_a_profile_counts_where_an_image_shrinks_too() -> None:
    wide = profile(b"RGB ", 2.2, P3)
    large = Image.fromarray(colour()).resize((320, 240))
    small = decode(saved(large, "PNG", icc_profile=wide), Rules(channels=3, short_px=24)).pixels
    whole = Image.fromarray(decode(saved(large, "PNG", icc_profile=wide), Rules(channels=3)).pixels)
    assert np.abs(small.astype(int) - np.asarray(whole.resize((32, 24), Image.Resampling.BICUBIC), int)).mean() < 1.5


def test_the_rows_of_a_cut_jpeg_are_those_of_the_whole_one() -> None:
    options = {"quality": 95, "subsampling": 0}
    whole = decode(cut_jpeg(**options), Rules(channels=3)).pixels
    heights = []
    for missing in (20, 200, 450, 700):
        part = decode(cut_jpeg(-missing, **options), Rules(channels=3))
        heights.append(len(part.pixels))
        assert part.pixels.shape[1:] == whole.shape[1:]
        assert np.array_equal(part.pixels, whole[: len(part.pixels)])
        assert "truncated" in part.traits.notes
    assert heights == sorted(heights, reverse=True)
    assert heights[0] >= 48
    assert heights[-1] < 48


def test_a_missing_end_marker_is_no_damage() -> None:
    for options in ({}, {"progressive": True}):
        whole, without = (decode(cut_jpeg(end, **options), Rules(channels=3)) for end in (None, -2))
        assert np.array_equal(whole.pixels, without.pixels)
        assert whole.traits == without.traits


def test_a_cut_progressive_jpeg_has_all_rows_in_less_detail() -> None:
    options = {"quality": 95, "subsampling": 0, "progressive": True}
    whole, part = (decode(cut_jpeg(end, **options), Rules(channels=3)) for end in (None, -450))
    assert part.pixels.shape == whole.pixels.shape
    assert "truncated" in part.traits.notes
    assert np.abs(part.pixels.astype(int) - whole.pixels).mean() < 8


def test_heic_is_read_with_its_extra_and_named_without(monkeypatch: pytest.MonkeyPatch) -> None:
    if formats.is_installed("pi_heif"):
        decoded = decode(HEIC, Rules(channels=3))
        assert np.abs(decoded.pixels.astype(int) - FIELDS).max() <= 1
        assert decoded.traits.format == "HEIC"
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(UnreadableError, match=r"HEIC file.*pip install 'twofold\[heic\]'"):
        decode(HEIC, Rules(channels=3))


def test_the_preview_of_a_raw_file_is_read_with_its_extra_and_named_without(monkeypatch: pytest.MonkeyPatch) -> None:
    preview = saved(Image.fromarray(colour()).resize((32, 24)), "JPEG")
    if formats.is_installed("rawpy"):
        decoded = decode(dng(preview), Rules(channels=3))
        assert np.array_equal(decoded.pixels, decode(preview, Rules(channels=3)).pixels)
        assert (decoded.traits.format, decoded.traits.notes) == ("RAW", ("preview",))
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(UnreadableError, match=r"RAW file.*pip install 'twofold\[raw\]'"):
        decode(dng(preview), Rules(channels=3))


def test_large_images_of_16_bits_are_shown_as_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """In strips, with the same bits as at once."""
    flatten = import_module("twofold.data.flatten")
    content = png(np.tile(numbers("u2", 3), (9, 7, 1)))
    rules = Rules(channels=3, short_px=25, range=(0.0, 4000.0))
    at_once = decode(content, rules).pixels
    monkeypatch.setattr(flatten, "_STRIP_PIXELS", 500)
    assert np.array_equal(decode(content, rules).pixels, at_once)
