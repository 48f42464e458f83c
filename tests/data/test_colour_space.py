"""What a file says of its colours becomes a profile, and the profile is that of the published matrices."""

import io
import struct
from importlib import import_module

import numpy as np
import pytest
from PIL import Image, ImageCms

from data.corpus_colours import ADOBE, BT_2020, CASES, OF_SRGB, PRIMARIES, WHITE, by, gamma, jpeg_2000
from data.corpus_pixels import FIELDS, HEIC, P3, SRGB, colour, through
from data.image_files import profile, saved
from twofold.data import Rules, decode, formats
from twofold.data.built_profile import build_profile, power
from twofold.data.colour_space import CODE_POINTS, Colours, colours_of
from twofold.data.header import header_info

FURTHER = {"Adobe RGB": (0.64, 0.33, 0.21, 0.71, 0.15, 0.06), "BT.2020": (0.708, 0.292, 0.17, 0.797, 0.131, 0.046)}
SPACES = {"sRGB": SRGB, "P3": P3, "Adobe RGB": ADOBE, "BT.2020": BT_2020}


@pytest.mark.parametrize("space", SPACES)
def test_the_columns_are_the_published_ones(space: str) -> None:
    content = build_profile((*WHITE, *(PRIMARIES | FURTHER)[space]), (power(2.2),))
    built = ImageCms.ImageCmsProfile(io.BytesIO(content)).profile
    ours = np.array([built.red_colorant[0], built.green_colorant[0], built.blue_colorant[0]]).T
    assert np.abs(ours - SPACES[space]).max() < 2e-3
    assert np.abs(ours.sum(axis=1) - [0.9642, 1.0, 0.8249]).max() < 1e-4  # all three make white


@pytest.mark.parametrize(
    "space", [(0.3, 0.3) * 4, (0.0,) * 8, (*WHITE, 0.64, 0.0, 0.3, 0.6, 0.15, 0.06), (np.nan,) * 8]
)
def test_colours_that_cannot_be_are_refused(space: tuple[float, ...]) -> None:
    with pytest.raises((ValueError, ZeroDivisionError)):
        build_profile(space, (power(2.2),))


def test_no_word_and_words_for_srgb_are_no_profile() -> None:
    near = (0.3127, 0.3291, 0.6401, 0.33, 0.3, 0.6, 0.15, 0.06)
    for info in ({}, {"gamma": 0.45455}, {"gamma": 0.45455, "chromaticity": near}, {CODE_POINTS: (1, 13, 0, 1)}):
        for is_grey in (False, True):
            assert colours_of(info, is_grey=is_grey) == Colours()


def test_an_image_of_the_users_own_is_read_by_its_info_and_left_as_it_is() -> None:
    image = Image.open(io.BytesIO(by(gamma(100000))()))
    image.load()
    before = dict(image.info)
    assert np.abs(decode(image, Rules(channels=3)).pixels - through(SRGB, 1.0)).max() <= 1
    assert image.info == before


def test_the_corpus_would_see_a_word_that_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("twofold.data.colour"), "colours_of", lambda info, is_grey: Colours())
    for name in ("PNG: linear", "PNG: code points of P3, sRGB below", "AVIF of P3", "TIFF with a table of light"):
        case = next(case for case in CASES if case.name == name)
        assert case.truth is not None
        assert np.abs(decode(case.content(), Rules(channels=3)).pixels - case.truth()).max() > 5


def test_a_heic_is_read_by_its_code_points() -> None:
    if not formats.is_installed("pi_heif"):
        pytest.skip("pi_heif is not installed")
    plain = decode(HEIC, Rules(channels=3))
    assert np.abs(plain.pixels.astype(int) - FIELDS).max() <= 1
    said = {
        points: HEIC.replace(b"nclx\0\1\0\x0d", b"nclx" + struct.pack(">HH", *points)) for points in ((12, 13), (9, 18))
    }
    wide = decode(said[12, 13], Rules(channels=3))
    assert np.abs(wide.pixels - through(P3, OF_SRGB, plain.pixels)).max() <= 1
    assert wide.traits.notes == ("profile",)
    bright = decode(said[9, 18], Rules(channels=3))
    assert np.array_equal(bright.pixels, plain.pixels)
    assert bright.traits.notes == ("hdr",)


def test_a_broken_header_says_nothing_and_the_file_is_at_its_beginning() -> None:
    for content in (
        *(case.content() for case in CASES),
        saved(Image.fromarray(colour()), "PNG")[:20],
        b"\0\0\0\x0cftypavif\0\0\0\x09meta\0",
        b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\0jp2h",
        b"\x89PNG\r\n\x1a\n" + b"\xff" * 8,
        b"BM",
        b"",
    ):
        for end in (len(content), 2 * len(content) // 3, 60, 9):
            file = io.BytesIO(content[:end])
            header_info(file)
            assert file.tell() == 0


def test_a_deep_jpeg_2000_is_read_by_its_profile_too() -> None:
    pytest.importorskip("rasterio", reason="needs twofold[geo]")
    wide = profile(b"RGB ", 1.0, P3)
    of_8_bits = jpeg_2000(b"\2\0\0" + wide)
    content = of_8_bits.replace(b"\0\3\7\1\1\7\1\1\7", b"\0\3\x0b\1\1\x0b\1\1\x0b").replace(b"\0\3\7\7", b"\0\3\x0b\7")
    decoded = decode(content, Rules(channels=3))
    levels = (colour() + 1920.0) * 255 / 4095  # the codec takes half of the range off: 128 of 256, 2048 of 4096
    assert np.abs(decoded.pixels - through(P3, 1.0, levels)).max() <= 1
    assert set(decoded.traits.notes) == {"type range", "profile"}
