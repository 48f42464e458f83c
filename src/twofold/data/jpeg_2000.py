"""JPEG 2000: how many bits, with a sign or without, and whether a band is transparency; Pillow passes none of it on."""

import struct
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Num
from PIL import Image

from twofold.data.boxes import boxes_in, number, read_box
from twofold.data.formats import File, orientation_of
from twofold.data.samples import Samples

LAYOUT = "layout"  # in an image's info
_SPACES = (0, 12, 15, 16, 17, 18)  # colour spaces by number that are read: 1 bit, CMYK, sRGB, grey, YCC
_TRANSPARENCY = (1, 2)  # kinds of a channel: straight, premultiplied


class Layout(NamedTuple):
    """Of the samples of a file."""

    bands: int
    bits: int
    is_signed: bool
    has_alpha: bool

    @property
    def is_for_gdal(self) -> bool:
        """Whether Pillow knows no such image, or keeps the high bits of its bands alone."""
        return self.bits > 16 or self.bands > 4 or (self.bits > 8 and self.bands > 1)


def jpeg_2000_info(file: File, *, has_boxes: bool) -> dict[str, Any]:
    """The layout, and the profile where there is one. Raises struct.error or IndexError for a broken header."""
    boxes = list(boxes_in(read_box(file, b"jp2h"))) if has_boxes else []
    file.seek(0)
    codestream = read_box(file, b"jp2c", 64) if has_boxes else file.read(64)
    bands, depth = struct.unpack_from(">HB", codestream, 40)
    has_alpha = any(kind in _TRANSPARENCY for name, content in boxes if name == b"cdef" for kind in content[5::6])
    said: dict[str, Any] = {}
    if all(name != b"pclr" for name, _ in boxes):
        said[LAYOUT] = Layout(bands, (depth & 127) + 1, depth > 127, has_alpha)
    for content in (content for name, content in boxes if name == b"colr"):
        if content[0] in (2, 3):
            return {**said, "icc_profile": content[3:]}
        if content[0] == 1:
            return said if number(content[3:7]) in _SPACES else {**said, "icc_profile": None}
    return said


def jpeg_2000_samples(image: Image.Image) -> Samples | None:
    """The samples of an image of more than 8 bits, or of one with a band more than colours; None for all others."""
    layout: Layout = image.info[LAYOUT]
    bands, bits, is_signed, has_alpha = layout
    if bits <= 8 and (has_alpha or image.mode not in ("LA", "RGBA")):
        return None
    width = image.width

    def read(top: int, bottom: int) -> Num[np.ndarray, "h w b"]:
        rows = np.asarray(image.crop((0, top, width, bottom)))
        if bits <= 8:
            return rows
        numbers = rows[:, :, None] >> (16 - bits)  # Pillow makes 16 bits of them, without a sign
        return (numbers.astype(np.int32) - 2 ** (bits - 1)).astype(np.int16) if is_signed else numbers

    half = 2.0 ** (bits - 1)
    return Samples(
        format="JPEG2000",
        size=image.size,
        bits=bits,
        colours=1 if bands < 3 else 3,
        read=read,
        limits=(0.0, 255.0) if bits <= 8 else (-half, half - 1) if is_signed else (0.0, 2 * half - 1),
        further_bands=bands - (1 if bands < 3 else 3),
        orientation=orientation_of(image),
        held_bytes=4 * bands * image.width * image.height,
        info=image.info,
    )
