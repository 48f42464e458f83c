"""Decoding against Pillow: every format, every mode, every orientation, and what cannot be read."""

import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageOps

from twofold.data import Rules, UnreadableError
from twofold.data import decode as decode_and_tell
from twofold.data.quiet import quiet
from twofold.errors import TwofoldError

MODES = {
    "JPEG": ("L", "RGB", "CMYK"),
    "PNG": ("1", "L", "P", "RGB"),
    "WEBP": ("L", "RGB"),
    "BMP": ("1", "L", "P", "RGB"),
    "GIF": ("1", "L", "P", "RGB"),
    "TIFF": ("1", "L", "P", "RGB", "CMYK", "YCbCr"),
}


def decode(content: bytes | Image.Image, **rules: object) -> np.ndarray:
    return decode_and_tell(content, Rules(**rules)).pixels


def smooth(height: int = 20, width: int = 28) -> np.ndarray:
    """A colourful image that a lossy format keeps well."""
    y, x = np.mgrid[:height, :width]
    return np.stack([9 * x, 12 * y, 4 * (x + y)], axis=2).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A small file whose header claims a large image."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    parts = [struct.pack(">I", len(d)) + name + d + struct.pack(">I", zlib.crc32(name + d)) for name, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def cut(kind: str, **options: object) -> bytes:
    content = encoded(Image.fromarray(smooth()), kind, **options)
    return content[: 2 * len(content) // 3]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("kind", "mode"), [(kind, mode) for kind, modes in MODES.items() for mode in modes])
def test_formats_and_modes_are_what_pillow_reads(kind: str, mode: str, channels: int) -> None:
    image = Image.fromarray(smooth()).convert(mode)
    content = encoded(image, kind)
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB").convert("RGB" if channels == 3 else "L"))
    assert np.array_equal(decode(content, channels=channels), expected.reshape(20, 28, channels))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("short_px", [None, 10])
def test_exif_rotation_is_applied(kind: str, orientation: int, short_px: int | None) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(Image.fromarray(smooth()), kind, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    pixels = decode(content, channels=3, short_px=short_px)
    if short_px is None:
        assert np.array_equal(pixels, np.asarray(upright))
    else:
        shrunk = np.asarray(upright.resize((14, 10) if upright.width > upright.height else (10, 14), 3), float)
        assert pixels.shape == shrunk.shape
        assert np.abs(pixels - shrunk).mean() < 3


def test_the_callers_own_image_is_left_as_it_is() -> None:
    image = Image.fromarray(smooth())
    image.getexif()[0x0112] = 6
    assert decode(image, channels=3).shape == (28, 20, 3)
    assert image.size == (28, 20)
    assert image.getexif()[0x0112] == 6


def test_the_orientations_differ() -> None:
    """Otherwise the test above could pass without turning anything."""
    turned = set()
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        turned.add(decode(encoded(Image.fromarray(smooth(20, 20)), "PNG", exif=exif), channels=3).tobytes())
    assert len(turned) == 8


def test_a_decoded_image_is_taken_as_it_is() -> None:
    image = Image.fromarray(smooth())
    assert np.array_equal(decode(image, channels=3), smooth())
    assert image.size == (28, 20)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_scaled_to_8(kind: str, channels: int) -> None:
    wide = np.linspace(0, 65535, 20 * 28).astype(np.uint16).reshape(20, 28)
    pixels = decode(encoded(Image.fromarray(wide), kind), channels=channels)
    expected = np.rint(wide.astype(float) * 255 / 65535)[:, :, None].repeat(channels, 2)
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_32_bits_have_no_agreed_range(dtype: type) -> None:
    content = encoded(Image.fromarray(np.ones((4, 4), dtype)), "TIFF")
    with pytest.raises(UnreadableError, match="32 bits"):
        decode(content, channels=3)


def test_transparency_is_laid_over_white() -> None:
    alpha = np.linspace(0, 255, 28).astype(np.uint8)[None].repeat(20, 0)
    rgba = np.dstack([smooth(), alpha])
    pixels = decode(encoded(Image.fromarray(rgba), "PNG"), channels=3).astype(float)
    share = alpha[..., None] / 255
    assert np.abs(pixels - (share * smooth() + (1 - share) * 255)).max() <= 1
    grey = Image.fromarray(np.dstack([smooth()[..., 0], alpha]))
    both = decode(encoded(grey, "PNG"), channels=1)[..., 0].astype(float)
    assert np.abs(both - (share[..., 0] * smooth()[..., 0] + (1 - share[..., 0]) * 255)).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_colour_of_a_palette_is_white(kind: str) -> None:
    image = Image.fromarray((np.arange(16, dtype=np.uint8) % 2).reshape(4, 4), "L").convert("P")
    image.putpalette([10, 20, 30, 200, 100, 50] + [0] * 762)
    pixels = decode(encoded(image, kind, transparency=0), channels=3)
    expected = np.where((np.arange(16) % 2).reshape(4, 4, 1), [200, 100, 50], [255, 255, 255])
    assert np.array_equal(pixels, expected)


def test_only_the_first_frame_of_a_gif_is_read() -> None:
    frames = [Image.new("L", (6, 5), value) for value in (40, 200)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (decode(content, channels=1) == 40).all()


@pytest.mark.parametrize(
    ("size", "stored"),
    [
        ((100, 80), (20, 16)),
        ((80, 100), (16, 20)),
        ((16, 16), (16, 16)),
        ((15, 30), (15, 30)),
        ((1000, 100), (64, 6)),
        ((400, 2), (64, 1)),
    ],
)
def test_larger_pictures_shrink_to_the_short_side(size: tuple[int, int], stored: tuple[int, int]) -> None:
    pixels = decode(encoded(Image.new("RGB", size, (9, 99, 199)), "PNG"), channels=3, short_px=16)
    assert pixels.shape == (stored[1], stored[0], 3)
    assert (pixels == (9, 99, 199)).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_shrinking_is_antialiased(kind: str) -> None:
    """A fine chequerboard becomes grey; picking single pixels would leave it black and white."""
    board = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    pixels = decode(encoded(Image.fromarray(board), kind, quality=95), channels=1, short_px=32)
    assert np.abs(pixels.astype(int) - 127).max() < 12


def test_a_photograph_shrinks_as_pillow_shrinks_it() -> None:
    image = Image.fromarray(smooth(20, 28)).resize((700, 500), Image.Resampling.BICUBIC)
    content = encoded(image, "JPEG", quality=95)
    expected = Image.open(io.BytesIO(content)).resize((140, 100), Image.Resampling.BICUBIC)
    difference = decode(content, channels=3, short_px=100).astype(float) - np.asarray(expected, float)
    assert np.abs(difference).mean() < 1.5


JPEG = encoded(Image.fromarray(smooth(64, 64)), "JPEG")
BROKEN = {
    "empty": (b"", "empty"),
    "text": (b"this is no image", "recognised"),
    "before the first row": (JPEG[: JPEG.index(b"\xff\xda") + 20], "truncated"),
    "only a start": (JPEG[:20], "."),
    "absurd": (png_header(60_000, 60_000), "179 million pixels"),
    "large, then nothing": (png_header(10_000, 10_000), "truncated"),
    "cut BMP": (cut("BMP"), "."),
    "cut PNG": (cut("PNG"), "."),
    "cut WebP": (cut("WEBP"), "."),
    "cut TIFF": (cut("TIFF"), "."),
    "cut GIF": (cut("GIF"), "."),
    "cut LZW TIFF": (cut("TIFF", compression="tiff_lzw"), "."),
    "a drawing": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "recognised"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_has_a_reason_and_no_warning(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    content, reason = BROKEN[name]
    with pytest.raises(UnreadableError, match=reason) as raised:
        decode(content, channels=3)
    text = str(raised.value)
    assert text
    assert "\n" not in text
    assert "0x" not in text
    assert capfd.readouterr() == ("", "")


def test_an_unreadable_picture_is_a_user_error() -> None:
    assert issubclass(UnreadableError, TwofoldError)


def test_broken_metadata_leave_the_pixels_alone() -> None:
    content = encoded(Image.fromarray(smooth()), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff\xff")
    assert decode(content, channels=3).shape == (20, 28, 3)


def test_quiet_holds_in_many_threads_and_ends() -> None:
    before = list(warnings.filters)

    def warn(number: int) -> int:
        with quiet():
            warnings.warn(f"warning {number}", UserWarning, stacklevel=1)
        return number

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(warn, range(2000))) == list(range(2000))
    assert list(warnings.filters) == before
    with pytest.raises(UserWarning, match="loud"):
        warnings.warn("loud", UserWarning, stacklevel=1)
