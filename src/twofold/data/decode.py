"""From a picture's bytes to its pixels."""

import io
from typing import BinaryIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from twofold.data.budget import Budget
from twofold.data.flatten import GAP, UnreadableError, bytes_needed, flatten
from twofold.data.parallel import cores
from twofold.data.quiet import quiet
from twofold.errors import TwofoldError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
MAX_PIXELS = 178_956_970  # Pillow's own limit; above it a header is taken to lie
_LONG_SIDES = 4  # the long side is at most so many short sides of the store
_MEMORY = Budget(max(2**30, 2**26 * cores()))  # bytes that all threads decode in: a photograph takes 20 to 200 MB
_ORIENTATION = 0x0112


def decode(
    content: bytes | Image.Image, *, channels: int, short_px: int | None = None
) -> UInt8[np.ndarray, "H W {channels}"]:
    """Pixels of a JPEG, PNG, WebP, BMP, GIF (first frame) or TIFF, upright, in 1 (grey) or 3 (RGB) channels.

    Transparency is laid over white, 16-bit grey scaled by 255/65535, EXIF rotation applied. With `short_px` a larger
    picture shrinks, antialiased, until its short side is at most short_px and its long side at most 4 short_px.
    Threads share a bound on memory: those that would pass it wait, and a very large picture is decoded alone.
    Raises UnreadableError with the reason.
    """
    with quiet():
        try:
            image = open_image(content)
            size = image.size
            if 0 in size:
                raise UnreadableError(f"it has no pixels: {size[0]} x {size[1]}")
            target = stored_size(size, short_px)
            if isinstance(content, bytes) and target != size:
                image.draft(None, (int(target[0] * GAP), int(target[1] * GAP)))  # a JPEG can shrink as it decodes
            with _MEMORY.take(bytes_needed(image, size, target)):
                image.load()
                orientation = _orientation(image)
                flat = flatten(image, "L" if channels == 1 else "RGB", target)
                pixels = np.asarray(_upright(flat, orientation))
        except (TwofoldError, MemoryError):
            raise
        except Exception as error:  # Pillow's readers raise almost anything for a broken file
            raise UnreadableError(reason_of(error)) from error
    return pixels[:, :, None] if channels == 1 else pixels


def open_image(content: bytes | BinaryIO | io.BytesIO | Image.Image) -> Image.Image:
    """The picture with its header read and its pixels not yet. Raises UnreadableError or what Pillow raises."""
    if isinstance(content, bytes):
        if not content:
            raise UnreadableError("the file is empty (0 bytes)")
        content = io.BytesIO(content)
    image = content if isinstance(content, Image.Image) else Image.open(content, formats=FORMATS)
    if image.width * image.height > MAX_PIXELS:
        raise Image.DecompressionBombError
    return image


def stored_size(size: tuple[int, int], short_px: int | None) -> tuple[int, int]:
    """(width, height) after shrinking to a short side of `short_px` and a long side of 4 short_px at most."""
    if short_px is None:
        return size
    scale = min(1.0, short_px / min(size), _LONG_SIDES * short_px / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def reason_of(error: Exception) -> str:
    """Why a picture could not be read, in a few words."""
    if isinstance(error, UnreadableError):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        return f"not a picture that can be recognised ({', '.join(FORMATS)})"
    if isinstance(error, Image.DecompressionBombError):
        return f"the header claims more than {MAX_PIXELS / 1e6:.0f} million pixels"
    if isinstance(error, OSError) and error.strerror:
        return f"the file cannot be opened ({error.strerror})"
    return " ".join(str(error).split())[:200] or type(error).__name__


def _upright(flat: Image.Image, orientation: int) -> Image.Image:
    """Turned or mirrored as EXIF's `orientation` asks: after shrinking, when there is little to turn."""
    if orientation == 1:
        return flat
    flat = flat.copy()  # it may be the caller's own image
    flat.info.clear()
    flat.getexif()[_ORIENTATION] = orientation
    return ImageOps.exif_transpose(flat)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken metadata around whole pixels: take them as they are
        return 1
