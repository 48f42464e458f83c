"""What the header of a file says of its colours, where Pillow does not read it.

PNG's cICP chunk; the nclx box of an AVIF's main image; the profile in a JPEG 2000; that of a bitmap of Windows.
"""

import io
import struct
from collections.abc import Iterator
from typing import Any

from twofold.data.colour_space import CODE_POINTS
from twofold.data.formats import File

_PLAIN = (0, 12, 15, 16, 17, 18)  # JPEG 2000's colour spaces by number that are read: 1 bit, CMYK, sRGB, grey, YCC
_MOST = 2**24  # bytes of a header


def header_colours(file: File) -> dict[str, Any]:
    """What goes into an image's info; empty for most files. The file is back at its beginning afterwards."""
    head = file.read(16)
    try:
        if head.startswith(b"\x89PNG"):
            return _of_png(file)
        if head[4:8] == b"ftyp":
            return _of_avif(_box(file, b"meta"))
        if head[4:8] == b"jP  ":
            return _of_jpeg_2000(_box(file, b"jp2h"))
        if head.startswith(b"BM"):
            return _of_bitmap(file)
        return {}
    except (struct.error, IndexError, OSError):  # a broken header: whoever reads the pixels says so
        return {}
    finally:
        file.seek(0)


def _of_png(file: File) -> dict[str, Any]:
    place = 8
    while True:
        file.seek(place)
        length, name = struct.unpack(">I4s", file.read(8))
        if name == b"cICP":
            return {CODE_POINTS: struct.unpack(">4B", file.read(4))}
        if name in (b"IDAT", b"IEND"):
            return {}
        place += 12 + length


def _of_avif(meta: bytes) -> dict[str, Any]:
    """A profile counts before these code points, which then are about luma and chroma alone."""
    boxes = list(_boxes(meta[4:]))
    main = next((_number(content[4:], 4 if content[0] else 2) for name, content in boxes if name == b"pitm"), None)
    properties = next((list(_boxes(content)) for name, content in boxes if name == b"iprp"), [])
    kinds = [one for name, content in properties if name == b"ipco" for one in _boxes(content)]
    belong = [at for name, content in properties if name == b"ipma" for at in _belonging(content, main)]
    colours = [kinds[at - 1][1] for at in belong if 0 < at <= len(kinds) and kinds[at - 1][0] == b"colr"]
    if any(colour[:4] in (b"prof", b"rICC") for colour in colours):
        return {}
    for colour in colours:
        if colour[:4] == b"nclx":
            primaries, transfer, matrix = struct.unpack_from(">HHH", colour, 4)
            return {CODE_POINTS: (primaries, transfer, matrix, 1)}  # the decoder makes full range of it
    return {}


def _belonging(content: bytes, item: int | None) -> Iterator[int]:
    """The properties of an item, counted from 1."""
    file = io.BytesIO(content)
    version, _, is_wide = struct.unpack(">B2sB", file.read(4))
    (count,) = struct.unpack(">I", file.read(4))
    for _ in range(count):
        owner = _number(file.read(4 if version else 2))
        for _ in range(file.read(1)[0]):
            at = _number(file.read(2)) & 0x7FFF if is_wide & 1 else file.read(1)[0] & 0x7F
            if owner == item:
                yield at


def _of_jpeg_2000(header: bytes) -> dict[str, Any]:
    for name, content in _boxes(header):
        if name == b"colr" and content[0] in (2, 3):
            return {"icc_profile": content[3:]}
        if name == b"colr" and content[0] == 1:
            return {} if _number(content[3:7]) in _PLAIN else {"icc_profile": None}
    return {}


def _of_bitmap(file: File) -> dict[str, Any]:
    """The profile at the end of a bitmap of the fifth version; None where it lies in a file of its own."""
    file.seek(14)
    header = file.read(124)
    if len(header) < 124 or struct.unpack_from("<I", header)[0] < 124 or header[56:60] not in (b"DEBM", b"KNIL"):
        return {}
    place, size = struct.unpack_from("<II", header, 112)
    if header[56:60] == b"KNIL" or size > _MOST:
        return {"icc_profile": None}
    file.seek(14 + place)
    return {"icc_profile": file.read(size) or None}


def _box(file: File, wanted: bytes) -> bytes:
    """The content of a box on top of the file; empty where there is none."""
    place = 0
    while True:
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            return b""
        size, name = struct.unpack_from(">I4s", head)
        start = 16 if size == 1 else 8
        size = struct.unpack_from(">Q", head, 8)[0] if size == 1 else size
        if name == wanted:
            file.seek(place + start)
            return file.read(size - start if start <= size <= _MOST else _MOST)
        if size < start:
            return b""
        place += size


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each box, one after the other."""
    place = 0
    while place + 8 <= len(content):
        size, name = struct.unpack_from(">I4s", content, place)
        size = size or len(content) - place
        if size < 8:
            return
        yield name, content[place + 8 : place + size]
        place += size


def _number(content: bytes, size: int | None = None) -> int:
    return int.from_bytes(content[:size], "big")
