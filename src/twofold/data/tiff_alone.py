"""A TIFF of one page: one that is taken out of a file, with its tags and its pixels packed as they were; or numbers."""

import io
import struct
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from jaxtyping import Num

from twofold.data.formats import File, UnreadableError

_STRIPS, _TILES = (273, 279), (324, 325)  # tags: where the segments begin, and how long they are
_LEFT_OUT = (330, 34665, 34853, 40965)  # tags that lead to other directories: smaller copies, EXIF, GPS
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WHOLE = {1: "B", 3: "H", 4: "I", 16: "Q"}  # types of whole numbers, as in struct
_TEXT, _LONG, _BYTE, _LONG8 = 2, 4, 7, 16
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _BANDS, _ROWS = 256, 257, 258, 259, 262, 277, 278
_ORIENTATION, _EXTRA, _KIND, _PROFILE, _NODATA = 274, 338, 339, 34675, 42113


class Entry(NamedTuple):
    """The value of a tag, as it lies in a file."""

    kind: int  # the type of its numbers, a key of _BYTES
    items: int
    value: bytes


class Form(NamedTuple):
    """How a TIFF writes its directories."""

    order: str  # "<" or ">", as in struct
    is_big: bool

    @property
    def place(self) -> str:
        """The number that says where something lies, as in struct. What is no longer lies in the directory itself."""
        return "Q" if self.is_big else "I"

    def pack(self, form: str, *values: object) -> bytes:
        """`struct.pack` in this order."""
        return struct.pack(self.order + form, *values)


def page_alone(file: File, at: int) -> bytes:
    """The page whose directory begins at `at`. Raises UnreadableError where the file ends before the page does."""
    file.seek(0)
    head = file.read(4)
    form = Form("<" if head[:2] == b"II" else ">", head[2:] in (b"+\0", b"\0+"))
    entries = {tag: entry for tag, entry in _entries(file, form, at).items() if tag not in _LEFT_OUT}
    tags = _TILES if _TILES[0] in entries else _STRIPS
    if not all(tag in entries and entries[tag].kind in _WHOLE for tag in tags):
        raise UnreadableError("the TIFF does not say where all its pixels are")
    offsets, sizes = (_numbers(entries[tag], form) for tag in tags)
    return written(form, entries, tags, [_read(file, place, size) for place, size in zip(offsets, sizes, strict=False)])


def as_tiff(
    values: Num[np.ndarray, "h w b"],
    colours: int,
    missing: float | None,
    *,
    profile: bytes | None = None,
    orientation: int = 1,
) -> bytes:
    """Numbers as a TIFF of one strip: `colours` bands (1 or 3), then others; `missing` is its nodata."""
    height, width, bands = values.shape
    form = Form("<", is_big=values.nbytes >= 2**31)
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    text = b"" if missing is None else repr(missing).encode() + b"\0"
    numbers = {
        _WIDTH: [width],
        _HEIGHT: [height],
        _BITS: [8 * values.itemsize] * bands,
        _COMPRESSION: [1],
        _PHOTOMETRIC: [2 if colours == 3 else 1],
        _BANDS: [bands],
        _ROWS: [height],
        _ORIENTATION: [orientation],
        _KIND: [" uif".index(values.dtype.kind)] * bands,
        **({_EXTRA: [0] * (bands - colours)} if bands > colours else {}),
    }
    entries = {tag: Entry(_LONG, len(row), form.pack(f"{len(row)}I", *row)) for tag, row in numbers.items()}
    entries |= {_NODATA: Entry(_TEXT, len(text), text)} if text else {}
    entries |= {_PROFILE: Entry(_BYTE, len(profile), profile)} if profile else {}
    return written(form, entries, _STRIPS, [values.tobytes()])


def written(form: Form, entries: Mapping[int, Entry], tags: tuple[int, int], segments: Sequence[bytes]) -> bytes:
    """A file of one page; `tags` are those that say where its segments begin and how long they are."""
    sizes = [len(segment) for segment in segments]
    entries = {**entries, **{tag: _places(form, sizes) for tag in tags}}
    inside = struct.calcsize(form.place)
    head = b"II" if form.order == "<" else b"MM"
    head += form.pack("HHHQ", 43, 8, 0, 16) if form.is_big else form.pack("HI", 42, 8)
    counted = form.pack("Q" if form.is_big else "H", len(entries))
    start = len(head) + len(counted) + len(entries) * (4 + 2 * inside) + inside
    outside = sum(len(entry.value) for entry in entries.values() if len(entry.value) > inside)
    entries[tags[0]] = _places(form, list(accumulate(sizes, initial=start + outside))[:-1])
    directory, values = counted, b""
    for tag, (kind, items, value) in sorted(entries.items()):
        if len(value) > inside:
            values, value = values + value, form.pack(form.place, start + len(values))
        directory += form.pack(f"HH{form.place}", tag, kind, items) + value.ljust(inside, b"\0")
    return b"".join([head, directory, bytes(inside), values, *segments])


def _entries(file: File, form: Form, at: int) -> dict[int, Entry]:
    """The directory at `at`; entries of unknown types are left out."""
    counted, inside = ("Q" if form.is_big else "H"), struct.calcsize(form.place)
    (count,) = struct.unpack(form.order + counted, _read(file, at, struct.calcsize(counted)))
    each = struct.Struct(f"{form.order}HH{form.place}{inside}s")
    entries = {}
    for tag, kind, items, value in each.iter_unpack(_read(file, at + struct.calcsize(counted), count * each.size)):
        size = items * _BYTES.get(kind, 0)
        if size > inside:
            value = _read(file, struct.unpack(form.order + form.place, value)[0], size)
        if kind in _BYTES:
            entries[tag] = Entry(kind, items, value[:size])
    return entries


def _numbers(entry: Entry, form: Form) -> tuple[int, ...]:
    return struct.unpack(f"{form.order}{entry.items}{_WHOLE[entry.kind]}", entry.value)


def _places(form: Form, numbers: Sequence[int]) -> Entry:
    value = form.pack(f"{len(numbers)}{form.place}", *numbers)
    return Entry(_LONG8 if form.is_big else _LONG, len(numbers), value)


def _read(file: File, at: int, size: int) -> bytes:
    if at + size > file.seek(0, io.SEEK_END):  # before memory is taken for what a broken file claims
        raise UnreadableError("the file is truncated")
    file.seek(at)
    return file.read(size)
