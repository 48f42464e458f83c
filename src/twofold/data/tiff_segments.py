"""The pixels of a TIFF's page: strips or tiles of packed samples, row by row, plane by plane.

Each is unpacked by libtiff, wrapped as a small grey image; what its bytes mean is decided here.
"""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Num, UInt8
from PIL import Image

from twofold.data.formats import File, UnreadableError

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_FILL_ORDER, _STRIP_OFFSETS, _BANDS, _STRIP_ROWS, _STRIP_COUNTS = 266, 273, 277, 278, 279
_PLANES, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS = 284, 317, 322, 323, 324, 325
_EXTRA, _KIND = 338, 339
JPEG = 7
UNPACKED = (1, 5, 8, 32773, 32946, 34925, 50000)  # none, LZW, deflate, PackBits, LZMA, Zstandard
_PREDICTED = (5, 8, 32946, 34925, 50000)  # elsewhere a predictor is not used, whatever the tag says
_KINDS: dict[int, tuple[str, tuple[int, ...]]] = {  # sample format -> numpy's kind, and the bits there are
    1: ("u", (8, 16, 32, 64)),
    2: ("i", (8, 16, 32, 64)),
    3: ("f", (16, 32, 64)),
    4: ("u", (8, 16, 32, 64)),
}

Tags = Any  # Pillow's mapping from a tag to its value


def all_of(tags: Tags, tag: int, default: int = 0) -> tuple[int, ...]:
    """The values of a tag."""
    value = tags.get(tag, default)
    return value if isinstance(value, tuple) else (value,)


class NotReadError(UnreadableError):
    """A TIFF of grey or RGB that is packed in a way that is not read here."""


def not_read(tags: Tags) -> UnreadableError:
    """What a page is that cannot be read, and what to do."""
    kind, _ = _KINDS.get(all_of(tags, _KIND, 1)[0], ("", ()))
    words = {"u": "unsigned", "i": "signed", "f": "floating-point"}.get(kind, "unknown")
    is_packed = all_of(tags, _COMPRESSION, 1)[0] not in (*UNPACKED, JPEG) and all_of(tags, _PHOTOMETRIC)[0] <= 2
    kind_of_error = NotReadError if is_packed else UnreadableError
    return kind_of_error(
        f"a TIFF of {all_of(tags, _BANDS, 1)[0]} bands of {all_of(tags, _BITS, 1)[0]} bits ({words}, photometric "
        f"interpretation {all_of(tags, _PHOTOMETRIC)[0]}, compression {all_of(tags, _COMPRESSION, 1)[0]}) is not read; "
        "save it as grey or RGB without compression"
    )


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the samples lie in the file: segments, which are strips or tiles, row by row, plane by plane."""

    size: tuple[int, int]  # width, height
    bands: int
    colours: int
    bits: int
    dtype: np.dtype[Any]  # of a sample once unpacked, in the byte order of the file
    is_planar: bool  # each band in segments of its own
    is_tiled: bool
    segment: tuple[int, int]  # rows, columns
    compression: int
    predictor: int

    @property
    def across(self) -> int:
        """Segments side by side."""
        return -(-self.size[0] // self.segment[1])

    @property
    def together(self) -> int:
        """Bands that lie side by side in a segment."""
        return 1 if self.is_planar else self.bands

    @property
    def row_bytes(self) -> int:
        """Of a row of a segment."""
        return -(-self.segment[1] * self.together * self.bits // 8)

    @classmethod
    def of(cls, tags: Tags, compressions: tuple[int, ...] = UNPACKED) -> "Layout":
        """Raises UnreadableError, naming what it is, for a layout that is not read, or another compression."""
        bits, kinds, bands = all_of(tags, _BITS, 1), all_of(tags, _KIND, 1), all_of(tags, _BANDS, 1)[0]
        photometric, compression = all_of(tags, _PHOTOMETRIC)[0], all_of(tags, _COMPRESSION, 1)[0]
        colours = 3 if photometric == 2 or (photometric, compression) == (6, JPEG) else 1
        extras = len(all_of(tags, _EXTRA)) if tags.get(_EXTRA) else 0
        kind, sizes = _KINDS.get(kinds[0], ("", ()))
        packed = kind == "u" and bits[0] < 32
        is_read = (
            compression in compressions
            and len(set(bits)) == len(set(kinds)) == 1
            and (bits[0] in sizes or packed)
            and bands >= colours
            and (colours == 3 or bands - colours <= max(1, extras))
            and all_of(tags, _FILL_ORDER, 1)[0] == 1
            and all_of(tags, _PREDICTOR, 1)[0] in (1, 2, 3)
        )
        if not is_read:
            raise not_read(tags)
        size = all_of(tags, _WIDTH)[0], all_of(tags, _HEIGHT)[0]
        is_tiled = _TILE_OFFSETS in tags
        segment = (
            (all_of(tags, _TILE_HEIGHT)[0], all_of(tags, _TILE_WIDTH)[0])
            if is_tiled
            else (min(all_of(tags, _STRIP_ROWS, size[1])[0], size[1]), size[0])
        )
        if min(*size, *segment) < 1:
            raise UnreadableError(f"it has no pixels: {size[0]} x {size[1]}")
        order = "<" if tags._prefix == b"II" else ">"
        wide = bits[0] if bits[0] in sizes else (8 if bits[0] < 8 else 16 if bits[0] <= 16 else 32)
        return cls(
            size=size,
            bands=bands,
            colours=colours,
            bits=bits[0],
            dtype=np.dtype(f"{order}{kind}{wide // 8}"),
            is_tiled=is_tiled,
            is_planar=bands > 1 and all_of(tags, _PLANES, 1)[0] == 2,
            segment=segment,
            compression=compression,
            predictor=all_of(tags, _PREDICTOR, 1)[0] if compression in _PREDICTED else 1,
        )


def places_of(tags: Tags) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """First byte and length of each segment."""
    is_tiled = _TILE_OFFSETS in tags
    offsets = all_of(tags, _TILE_OFFSETS if is_tiled else _STRIP_OFFSETS)
    return offsets, all_of(tags, _TILE_COUNTS if is_tiled else _STRIP_COUNTS)


def reader(
    file: File, tags: Tags, layout: Layout, *, all_bands: bool = False
) -> Callable[[int, int], Num[np.ndarray, "h w b"]]:
    """What reads rows of the image; the last row of segments stays in memory for the rows that follow."""
    offsets, counts = places_of(tags)
    width, height = layout.size
    down = -(-height // layout.segment[0])
    planes = layout.bands if layout.is_planar else 1
    used = layout.bands if all_bands else min(layout.bands, layout.colours + 1)  # colours, and maybe transparency
    if len(offsets) < planes * down * layout.across or len(counts) < len(offsets):
        raise UnreadableError("the TIFF does not say where all its pixels are")

    @lru_cache(maxsize=1)
    def row_of_segments(row: int) -> Num[np.ndarray, "h w b"]:
        rows = layout.segment[0] if layout.is_tiled else min(layout.segment[0], height - row * layout.segment[0])
        parts = []
        for plane in range(min(planes, used)):
            first = (plane * down + row) * layout.across
            tiles = []
            for place in range(first, first + layout.across):
                file.seek(offsets[place])
                tiles.append(unpacked(file.read(counts[place]), rows, layout))
            parts.append(np.concatenate(tiles, axis=1)[:, :width])
        return parts[0][:, :, :used] if planes == 1 else np.concatenate(parts, axis=2)

    def read(top: int, bottom: int) -> Num[np.ndarray, "h w b"]:
        tall = layout.segment[0]
        parts = []
        for row in range(top // tall, -(-bottom // tall)):
            start = row * tall
            parts.append(row_of_segments(row)[max(0, top - start) : bottom - start])
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    return read


def unpacked(content: bytes, rows: int, layout: Layout) -> Num[np.ndarray, "h w b"]:
    """The samples of a strip or tile."""
    if layout.compression != 1:
        wrapped = _wrap(content, rows, layout)
        content = Image.open(io.BytesIO(wrapped), formats=("TIFF",)).tobytes()
    wanted = rows * layout.row_bytes
    if len(content) < wanted:
        raise UnreadableError("the file is truncated")
    lines = np.frombuffer(content, np.uint8, wanted).reshape(rows, layout.row_bytes)
    shape = (rows, layout.segment[1], layout.together)
    if layout.bits != 8 * layout.dtype.itemsize:
        return _unpack_bits(lines, layout.bits, layout.dtype)[:, : shape[1] * shape[2]].reshape(shape)
    if layout.predictor == 3:
        return _float_predicted(lines, layout).reshape(shape)
    values = lines.view(layout.dtype).reshape(shape)
    native = layout.dtype.newbyteorder("=")
    if layout.predictor == 2:
        whole = np.dtype(f"u{layout.dtype.itemsize}")
        steps = values.astype(native, copy=False).view(whole)
        return np.cumsum(steps, axis=1, dtype=whole).view(native)
    return values.astype(native, copy=False)


def _wrap(content: bytes, rows: int, layout: Layout) -> bytes:
    """A TIFF of one grey image of 8 bits, in which the packed bytes are one strip."""
    entries = {
        _WIDTH: layout.row_bytes,
        _HEIGHT: rows,
        _BITS: 8,
        _COMPRESSION: layout.compression,
        _PHOTOMETRIC: 1,
        _STRIP_OFFSETS: 0,
        _BANDS: 1,
        _STRIP_ROWS: rows,
        _STRIP_COUNTS: len(content),
    }
    size = 8 + 2 + 12 * len(entries) + 4
    entries[_STRIP_OFFSETS] = size
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    return struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + table + bytes(4) + content


def _unpack_bits(lines: UInt8[np.ndarray, "h k"], bits: int, dtype: np.dtype[Any]) -> Num[np.ndarray, "h n"]:
    """Numbers of any width that lie in a row without gaps, the highest bit first."""
    single = np.unpackbits(lines, axis=1)
    count = single.shape[1] // bits
    digits = single[:, : count * bits].reshape(len(lines), count, bits)
    return (digits @ (1 << np.arange(bits - 1, -1, -1, dtype=np.uint32))).astype(dtype.newbyteorder("="))


def _float_predicted(lines: UInt8[np.ndarray, "h k"], layout: Layout) -> Num[np.ndarray, "h n"]:
    """Predictor 3: bytes sorted by their weight along a row, then differences from one pixel to the next."""
    together, size = layout.together, layout.dtype.itemsize
    bytes_ = np.cumsum(lines.reshape(len(lines), -1, together), axis=1, dtype=np.uint8).reshape(len(lines), size, -1)
    heavy_first = np.ascontiguousarray(bytes_.transpose(0, 2, 1)).reshape(len(lines), -1)
    return heavy_first.view(np.dtype(f">f{size}")).astype(layout.dtype.newbyteorder("="))
