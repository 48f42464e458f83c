"""Images of more than 8 bits in the formats that Pillow opens, with all of their bits."""

import io
import sys
from typing import Literal

import numpy as np
from jaxtyping import Num
from PIL import Image, ImageFile

from twofold.data.formats import UnreadableError, orientation_of
from twofold.data.samples import Samples

_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_ALL_16 = (0.0, 65535.0)


def deep_samples(image: Image.Image, content: bytes | None) -> Samples | None:
    """The samples of an image of more than 8 bits, of which Pillow has read the header; None for all others.

    `content` is the file, None where only its header matters or the image was decoded elsewhere.
    """
    raw = _raw_mode(image)
    if image.mode.startswith("I;16") or (image.mode == "I" and (image.format in ("PNG", "PPM") or raw == "I;16B")):
        return _single(image, 16, _ALL_16)
    if image.mode in ("I", "F"):
        return _single(image, 32, None)
    if image.format == "PPM" and image.mode == "RGB" and isinstance(raw, tuple) and int(raw[1]) > 255:
        return _of_ppm(image, content, int(raw[1]))
    if isinstance(raw, str) and raw[-4:-1] == ";16" and image.mode in ("RGB", "RGBA", "LA"):
        return _of_png(image, content, raw)
    return None


def _raw_mode(image: Image.Image) -> object:
    tiles = getattr(image, "tile", None)
    if not tiles:
        return None
    args = tiles[0][3]
    return args if isinstance(args, str) or image.format == "PPM" else None


def _single(image: Image.Image, bits: int, limits: tuple[float, float] | None) -> Samples:
    width = image.width

    def read(top: int, bottom: int) -> Num[np.ndarray, "h w 1"]:
        return np.asarray(image.crop((0, top, width, bottom)))[:, :, None]

    transparent = image.info.get("transparency")
    return Samples(
        format=image.format or "memory",
        size=image.size,
        bits=bits,
        colours=1,
        read=read if transparent is None else lambda top, bottom: _keyed(read(top, bottom), (transparent,)),
        limits=limits,
        alpha=None if transparent is None else "straight",
        alpha_is_sure=True,
        orientation=orientation_of(image),
        held_bytes=image.width * image.height * (2 if image.mode.startswith("I;16") else 4),
        info=image.info,
    )


def _of_png(image: Image.Image, content: bytes | None, raw: str) -> Samples:
    """Pillow keeps the high bytes; the low ones come from a second look at the file in the other byte order."""
    width = image.width
    transparent = image.info.get("transparency")
    is_grey = raw.startswith("LA")
    alpha: Literal["straight"] | None = "straight" if transparent is not None or image.mode.endswith("A") else None
    again: list[Image.Image] = []

    def low_bytes() -> Image.Image:
        if not again:
            other = Image.open(io.BytesIO(content or b""), formats=("PNG",))
            assert isinstance(other, ImageFile.ImageFile)
            swapped = "RGBA" if is_grey else raw[:-1] + _OTHER_BYTE[raw[-1]]
            if is_grey:  # four bytes a pixel, as of red, green, blue and transparency
                other._mode = "RGBA"
            other.tile = [tile._replace(args=swapped) for tile in other.tile]
            again.append(other)
        return again[0]

    def read(top: int, bottom: int) -> Num[np.ndarray, "h w b"]:
        rows = (0, top, width, bottom)
        low = np.asarray(low_bytes().crop(rows))
        if is_grey:
            return np.ascontiguousarray(low).view(">u2").astype(np.uint16)
        values = np.asarray(image.crop(rows)).astype(np.uint16) << 8 | low
        return values if transparent is None else _keyed(values, transparent)

    return Samples(
        format=image.format or "memory",
        size=image.size,
        bits=16,
        colours=1 if is_grey else 3,
        read=read,
        limits=_ALL_16,
        alpha=alpha,
        alpha_is_sure=True,
        orientation=orientation_of(image),
        held_bytes=10 * image.width * image.height,
        info=image.info,
    )


def _of_ppm(image: Image.Image, content: bytes | None, largest: int) -> Samples:
    """P6 of two bytes a sample, the high one first. The numbers are the file's own, 0..`largest`."""
    assert isinstance(image, ImageFile.ImageFile)
    name, _, offset, _ = image.tile[0]
    width, height = image.size
    if name != "ppm":
        raise UnreadableError("a PPM of more than 8 bits written as text is not read; save it as P6 or PNG")
    count = width * height * 3
    if content is not None and len(content) < offset + 2 * count:
        raise UnreadableError("the file is truncated")

    def read(top: int, bottom: int) -> Num[np.ndarray, "h w 3"]:
        rows = np.frombuffer(content or b"", ">u2", count, offset).reshape(height, width, 3)
        return rows[top:bottom].astype(np.uint16)

    return Samples(
        format="PPM", size=image.size, bits=16, colours=3, read=read, limits=(0.0, float(largest)), info=image.info
    )


def _keyed(values: Num[np.ndarray, "h w c"], key: tuple[int, ...]) -> Num[np.ndarray, "h w b"]:
    """With a band of transparency that is 0 where a pixel has the colour `key`."""
    band = (values != np.array(key[: values.shape[2]], values.dtype)).any(axis=2, keepdims=True)
    return np.concatenate([values, band.astype(values.dtype) * values.dtype.type(65535)], axis=2)
