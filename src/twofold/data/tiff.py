"""TIFF: pages, bands, photometric interpretation, numbers of any kind; what Pillow reads as it should, it reads.

Each strip or tile is unpacked by libtiff, wrapped as a small grey image; what its bytes mean is decided here.
"""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from jaxtyping import Num, UInt8
from PIL import Image, ImagePalette, UnidentifiedImageError
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from twofold.data.formats import File, UnreadableError, open_raw
from twofold.data.samples import Samples

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_FILL_ORDER, _STRIP_OFFSETS, _ORIENTATION, _BANDS, _STRIP_ROWS, _STRIP_COUNTS = 266, 273, 274, 277, 278, 279
_PLANES, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS = 284, 317, 322, 323, 324, 325
_PALETTE, _SUB_IFDS, _EXTRA, _KIND, _ICC, _MISSING, _DNG = 320, 330, 338, 339, 34675, 42113, 50706
PAGES = "further pages"  # in an image's info: there are pages beyond the one that is read
_GREY_OR_RGB = {0: 1, 1: 1, 2: 3}  # photometric interpretation -> bands
_SENSOR = (32803, 34892)  # photometric interpretations of a camera's sensor
_UNPACKED = (1, 5, 8, 32773, 32946, 34925, 50000)  # none, LZW, deflate, PackBits, LZMA, Zstandard
_PREDICTED = (5, 8, 32946, 34925, 50000)  # elsewhere a predictor is not used, whatever the tag says
_KINDS: dict[int, tuple[str, tuple[int, ...]]] = {  # sample format -> numpy's kind, and the bits there are
    1: ("u", (8, 16, 32, 64)),
    2: ("i", (8, 16, 32, 64)),
    3: ("f", (16, 32, 64)),
    4: ("u", (8, 16, 32, 64)),
}
_MOST_PAGES = 64  # looked through for one that is no thumbnail

Tags = Any  # Pillow's mapping from a tag to its value


def open_tiff(file: File) -> Image.Image | Samples:
    """The first page that is no thumbnail; of a camera's RAW its preview. Raises UnreadableError with what it is."""
    pages = _pages(file)
    if _is_raw(file, pages[0]):
        return open_raw(file)
    number, tags = next(((i, p) for i, p in enumerate(pages) if not _is_small(p)), (0, pages[0]))
    has_more = any(not _is_small(page) for page in pages[number + 1 :])
    if not _is_plain(tags):
        return _samples(file, tags, has_more)
    file.seek(0)
    try:
        image: Any = Image.open(file, formats=("TIFF",))
    except UnidentifiedImageError as error:
        raise _not_read(tags) from error
    if number:
        image.seek(number)
    if has_more:
        image.info[PAGES] = True
    if image.mode == "P" and max(_all(tags, _PALETTE)) < 256:  # of 8 bits, though the standard has 16
        image.palette = ImagePalette.raw("RGB;L", bytes(_all(tags, _PALETTE)))
    return image


def _is_small(tags: Tags) -> bool:
    """Whether a page is a thumbnail, or a mask, of another one."""
    return bool(_all(tags, _SUBFILE, 0)[0] & 5)


def _pages(file: File) -> list[Tags]:
    head = file.read(8)
    head += file.read(8) if head[2:4] in (b"+\0", b"\0+") else b""
    file.seek(0)
    pages: list[Tags] = []
    tags: Any = ImageFileDirectory_v2(head)
    offset, known = tags.next, set[int]()
    while offset and offset not in known and len(pages) < _MOST_PAGES:
        known.add(offset)
        pages.append(_directory(file, head, offset))
        offset = pages[-1].next
        if sum(not _is_small(page) for page in pages) == 2:
            break
    file.seek(0)
    if not pages:
        raise UnreadableError("the TIFF holds no page")
    return pages


def _directory(file: File, head: bytes, offset: int) -> Tags:
    tags: Any = ImageFileDirectory_v2(head)
    file.seek(offset)
    tags.load(file)
    return tags


def _all(tags: Tags, tag: int, default: int = 0) -> tuple[int, ...]:
    value = tags.get(tag, default)
    return value if isinstance(value, tuple) else (value,)


def _is_raw(file: File, first: Tags) -> bool:
    """Whether this is a camera's RAW, many of which are TIFF files: a thumbnail first, the sensor below it."""
    if _DNG in first or _all(first, _PHOTOMETRIC)[0] in _SENSOR:
        return True
    head = first._prefix + (b"*\0" if first._prefix == b"II" else b"\0*") + bytes(4)
    below = (_directory(file, head, offset) for offset in _all(first, _SUB_IFDS) if offset)
    return any(_all(tags, _PHOTOMETRIC)[0] in _SENSOR for tags in below)


def _is_plain(tags: Tags) -> bool:
    """Whether Pillow takes it for what it is: numbers of at most 8 bits without a sign, no band too many."""
    photometric, compression = _all(tags, _PHOTOMETRIC)[0], _all(tags, _COMPRESSION, 1)[0]
    if photometric not in _GREY_OR_RGB or compression not in _UNPACKED:
        return True
    bits, bands = _all(tags, _BITS, 1), _all(tags, _BANDS, 1)[0]
    is_small = max(bits) <= 8 and set(_all(tags, _KIND, 1)) <= {1, 4}
    return is_small and bands == _GREY_OR_RGB[photometric] and not tags.get(_EXTRA)


def _samples(file: File, tags: Tags, has_more: bool) -> Samples:
    layout = _Layout.of(tags)
    width, height = layout.size
    kind, bits = layout.dtype.kind, layout.bits
    limits = None
    if kind == "u" and bits <= 16:
        limits = (0.0, float(2**bits - 1))
    elif kind == "i" and bits <= 16:
        limits = (-float(2 ** (bits - 1)), float(2 ** (bits - 1) - 1))
    extra = _all(tags, _EXTRA)[0] if tags.get(_EXTRA) else 0
    after = layout.bands - layout.colours
    alphas: dict[int, Literal["straight", "premultiplied"]] = {1: "premultiplied", 2: "straight"}
    profile = tags.get(_ICC)
    return Samples(
        format="TIFF",
        size=(width, height),
        bits=bits,
        colours=layout.colours,
        read=_reader(file, tags, layout),
        limits=limits,
        alpha=alphas.get(extra) if after else None,
        further_bands=after,
        is_inverted=_all(tags, _PHOTOMETRIC)[0] == 0,
        missing=_number(tags.get(_MISSING)),
        orientation=_all(tags, _ORIENTATION, 1)[0],
        held_bytes=4 * layout.across * layout.segment[0] * layout.row_bytes * (layout.bands if layout.is_planar else 1),
        info={**({"icc_profile": profile} if profile else {}), **({PAGES: True} if has_more else {})},
    )


def _not_read(tags: Tags) -> UnreadableError:
    """What a page is that cannot be read, and what to do."""
    kind, _ = _KINDS.get(_all(tags, _KIND, 1)[0], ("", ()))
    words = {"u": "unsigned", "i": "signed", "f": "floating-point"}.get(kind, "unknown")
    return UnreadableError(
        f"a TIFF of {_all(tags, _BANDS, 1)[0]} bands of {_all(tags, _BITS, 1)[0]} bits ({words}, photometric "
        f"interpretation {_all(tags, _PHOTOMETRIC)[0]}, compression {_all(tags, _COMPRESSION, 1)[0]}) is not read; "
        "save it as grey or RGB without compression"
    )


def _number(text: Any) -> float | None:
    try:
        return float(str(text).strip("\0 "))
    except ValueError:
        return None


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """How the samples lie in the file: segments, which are strips or tiles, row by row, plane by plane."""

    size: tuple[int, int]  # width, height
    bands: int
    colours: int
    bits: int
    dtype: np.dtype[Any]  # of a sample once unpacked, in the byte order of the file
    is_planar: bool  # each band in segments of its own
    segment: tuple[int, int]  # rows, columns
    compression: int
    predictor: int

    @property
    def across(self) -> int:
        return -(-self.size[0] // self.segment[1])

    @property
    def together(self) -> int:
        """Bands that lie side by side in a segment."""
        return 1 if self.is_planar else self.bands

    @property
    def row_bytes(self) -> int:
        return -(-self.segment[1] * self.together * self.bits // 8)

    @classmethod
    def of(cls, tags: Tags) -> "_Layout":
        """Raises UnreadableError, naming what it is, for a layout that is not read."""
        bits, kinds, bands = _all(tags, _BITS, 1), _all(tags, _KIND, 1), _all(tags, _BANDS, 1)[0]
        photometric, compression = _all(tags, _PHOTOMETRIC)[0], _all(tags, _COMPRESSION, 1)[0]
        colours = 3 if photometric == 2 else 1
        extras = len(_all(tags, _EXTRA)) if tags.get(_EXTRA) else 0
        kind, sizes = _KINDS.get(kinds[0], ("", ()))
        packed = kind == "u" and bits[0] < 32
        is_read = (
            compression in _UNPACKED
            and len(set(bits)) == len(set(kinds)) == 1
            and (bits[0] in sizes or packed)
            and bands >= colours
            and (colours == 3 or bands - colours <= max(1, extras))
            and _all(tags, _FILL_ORDER, 1)[0] == 1
            and _all(tags, _PREDICTOR, 1)[0] in (1, 2, 3)
        )
        if not is_read:
            raise _not_read(tags)
        size = _all(tags, _WIDTH)[0], _all(tags, _HEIGHT)[0]
        is_tiled = _TILE_OFFSETS in tags
        segment = (
            (_all(tags, _TILE_HEIGHT)[0], _all(tags, _TILE_WIDTH)[0])
            if is_tiled
            else (min(_all(tags, _STRIP_ROWS, size[1])[0], size[1]), size[0])
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
            is_planar=bands > 1 and _all(tags, _PLANES, 1)[0] == 2,
            segment=segment,
            compression=compression,
            predictor=_all(tags, _PREDICTOR, 1)[0] if compression in _PREDICTED else 1,
        )


def _reader(file: File, tags: Tags, layout: _Layout) -> Callable[[int, int], Num[np.ndarray, "h w b"]]:
    """What reads rows of the image; the last row of segments stays in memory for the rows that follow."""
    offsets = _all(tags, _TILE_OFFSETS if _TILE_OFFSETS in tags else _STRIP_OFFSETS)
    counts = _all(tags, _TILE_COUNTS if _TILE_OFFSETS in tags else _STRIP_COUNTS)
    width, height = layout.size
    down = -(-height // layout.segment[0])
    planes = layout.bands if layout.is_planar else 1
    used = min(layout.bands, layout.colours + 1)  # the colours, and what may be transparency
    if len(offsets) < planes * down * layout.across or len(counts) < len(offsets):
        raise UnreadableError("the TIFF does not say where all its pixels are")

    @lru_cache(maxsize=1)
    def row_of_segments(row: int) -> Num[np.ndarray, "h w b"]:
        rows = layout.segment[0] if _TILE_OFFSETS in tags else min(layout.segment[0], height - row * layout.segment[0])
        parts = []
        for plane in range(min(planes, used)):
            first = (plane * down + row) * layout.across
            tiles = []
            for place in range(first, first + layout.across):
                file.seek(offsets[place])
                tiles.append(_unpacked(file.read(counts[place]), rows, layout))
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


def _unpacked(content: bytes, rows: int, layout: _Layout) -> Num[np.ndarray, "h w b"]:
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


def _wrap(content: bytes, rows: int, layout: _Layout) -> bytes:
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


def _float_predicted(lines: UInt8[np.ndarray, "h k"], layout: _Layout) -> Num[np.ndarray, "h n"]:
    """Predictor 3: bytes sorted by their weight along a row, then differences from one pixel to the next."""
    together, size = layout.together, layout.dtype.itemsize
    bytes_ = np.cumsum(lines.reshape(len(lines), -1, together), axis=1, dtype=np.uint8).reshape(len(lines), size, -1)
    heavy_first = np.ascontiguousarray(bytes_.transpose(0, 2, 1)).reshape(len(lines), -1)
    return heavy_first.view(np.dtype(f">f{size}")).astype(layout.dtype.newbyteorder("="))
