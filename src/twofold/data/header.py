"""What the header of a file says where Pillow does not read it, or not rightly: of colours, bits and transparency."""

import io
import struct
from collections.abc import Iterator
from typing import Any

from twofold.data.boxes import boxes_in, number, read_box
from twofold.data.colour_space import CODE_POINTS
from twofold.data.formats import BITS, File
from twofold.data.jpeg_2000 import jpeg_2000_info


def header_info(file: File) -> dict[str, Any]:
    """What goes into an image's info; empty for most files. The file is back at its beginning afterwards."""
    head = file.read(16)
    try:
        if head.startswith(b"\x89PNG"):
            return _of_png(file)
        if head[4:8] == b"ftyp":
            return _of_avif(read_box(file, b"meta"))
        if head[4:8] == b"jP  " or head.startswith(b"\xff\x4f\xff\x51"):
            return jpeg_2000_info(file, has_boxes=head[4:8] == b"jP  ")
        return _of_bitmap(file) if head.startswith(b"BM") else {}
    except (struct.error, ValueError, IndexError, OSError):  # a broken header: whoever reads the pixels says so
        return {}
    finally:
        file.seek(0)


def _of_png(file: File) -> dict[str, Any]:
    """Code points of colours (cICP); the transparent level of grey of 2 or 4 bits, which Pillow does not spread."""
    said: dict[str, Any] = {}
    place, bits, kind = 8, 8, 0
    while True:
        file.seek(place)
        length, name = struct.unpack(">I4s", file.read(8))
        if name == b"IHDR":
            bits, kind = file.read(10)[8:]
        elif name == b"cICP":
            said[CODE_POINTS] = struct.unpack(">4B", file.read(4))
        elif name == b"tRNS" and kind == 0 and bits in (2, 4):
            said["transparency"] = number(file.read(2)) * (255 // (2**bits - 1))
        elif name in (b"IDAT", b"IEND"):
            return said
        place += 12 + length


def _of_avif(meta: bytes) -> dict[str, Any]:
    """Bits, and code points of colours of the main image. A profile counts before them: they mean luma and chroma."""
    boxes = list(boxes_in(meta[4:]))
    main = next((number(content[4 : 8 if content[0] else 6]) for name, content in boxes if name == b"pitm"), None)
    properties = next((list(boxes_in(content)) for name, content in boxes if name == b"iprp"), [])
    kinds = [one for name, content in properties if name == b"ipco" for one in boxes_in(content)]
    belong = [at for name, content in properties if name == b"ipma" for at in _belonging(content, main)]
    own = [kinds[at - 1] for at in belong if 0 < at <= len(kinds)]
    said: dict[str, Any] = {}
    for content in (content for name, content in own if name == b"pixi"):
        said[BITS] = max(content[5:], default=8)
    colours = [content for name, content in own if name == b"colr"]
    if not any(colour[:4] in (b"prof", b"rICC") for colour in colours):
        points = next((struct.unpack_from(">HHH", colour, 4) for colour in colours if colour[:4] == b"nclx"), None)
        said |= {} if points is None else {CODE_POINTS: (*points, 1)}  # the decoder makes full range of it
    return said


def _belonging(content: bytes, item: int | None) -> Iterator[int]:
    """The properties of an item, counted from 1."""
    file = io.BytesIO(content)
    version, is_wide, count = struct.unpack(">BxxBI", file.read(8))
    for _ in range(count):
        owner = number(file.read(4 if version else 2))
        for _ in range(file.read(1)[0]):
            at = number(file.read(2)) & 0x7FFF if is_wide & 1 else file.read(1)[0] & 0x7F
            if owner == item:
                yield at


def _of_bitmap(file: File) -> dict[str, Any]:
    """The profile at the end of a bitmap of Windows, fifth version; None where it lies in a file of its own."""
    file.seek(14)
    header = file.read(124)
    if len(header) < 124 or struct.unpack_from("<I", header)[0] < 124 or header[56:60] not in (b"DEBM", b"KNIL"):
        return {}
    place, size = struct.unpack_from("<II", header, 112)
    file.seek(14 + place)
    return {"icc_profile": (file.read(min(size, 2**24)) or None) if header[56:60] == b"DEBM" else None}
