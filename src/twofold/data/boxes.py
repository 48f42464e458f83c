"""The boxes of ISO's files (AVIF, JPEG 2000): length, name, content, one after the other or one in another."""

import struct
from collections.abc import Iterator

from twofold.data.formats import File

_MOST = 2**24  # bytes of a header


def read_box(file: File, wanted: bytes, most: int = _MOST) -> bytes:
    """The content of a box on top of the file, `most` bytes of it; empty where there is none."""
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
            return file.read(min(size - start, most) if size >= start else most)
        if size < start:
            return b""
        place += size


def boxes_in(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each box."""
    place = 0
    while place + 8 <= len(content):
        size, name = struct.unpack_from(">I4s", content, place)
        size = size or len(content) - place
        if size < 8:
            return
        yield name, content[place + 8 : place + size]
        place += size


def number(content: bytes) -> int:
    """A whole number, high byte first."""
    return int.from_bytes(content, "big")
