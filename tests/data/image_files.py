"""Writers of image files that Pillow does not write, each of a few lines, to hold a reader to."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

ASCII, SHORT, LONG, RATIONAL = 2, 3, 4, 5
PNG_KINDS = {1: 0, 2: 4, 3: 2, 4: 6}  # bands -> the kind of colour
_LETTERS = {SHORT: "H", LONG: "I"}


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """An image as Pillow writes it."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(values: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of uint8 or uint16 values (H, W, c), with further chunks before the pixels."""
    rows = [row.tobytes() for row in values.astype(values.dtype.newbyteorder(">"))]
    return png_of_rows(values.shape[:2], 8 * values.dtype.itemsize, PNG_KINDS[values.shape[2]], rows, *chunks)


def png_of_rows(
    size: tuple[int, ...], bits: int, kind: int, rows: list[bytes], *chunks: tuple[bytes, bytes], passes: int = 1
) -> bytes:
    """A PNG of (height, width) of packed rows, in one pass or in the seven of Adam7."""
    header = struct.pack(">IIBBBBB", size[1], size[0], bits, kind, 0, 0, int(passes == 7))
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def tiff(
    values: np.ndarray,
    *,
    photometric: int = 1,
    extra: tuple[int, ...] = (),
    order: str = "<",
    bits: int | None = None,
    planar: bool = False,
    tile: int | None = None,
    rows: int | None = None,
    compression: int = 1,
    predictor: int = 1,
    tags: dict[int, tuple[int, Any]] | None = None,
) -> bytes:
    """A TIFF of values (H, W, c). `bits`: packed without gaps; `tile`: its side; `rows`: of a strip.

    `compression` is 1 (none) or 8 (deflate), `predictor` 1, 2 or 3; `tags` are further ones: number -> (type, value).
    """
    height, width, bands = values.shape
    layers = [values[:, :, [band]] for band in range(bands)] if planar else [values]
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    pieces = [piece for layer in layers for piece in _pieces(layer, tile, rows or height)]
    blocks = [_packed(piece, order, bits, predictor) for piece in pieces]
    blocks = [zlib.compress(block) for block in blocks] if compression == 8 else blocks
    depth = bits or 8 * values.dtype.itemsize
    entries: dict[int, tuple[int, Any]] = {
        256: (LONG, width),
        257: (LONG, height),
        258: (SHORT, (depth,) * bands),
        259: (SHORT, compression),
        262: (SHORT, photometric),
        277: (SHORT, bands),
        284: (SHORT, 2 if planar else 1),
        317: (SHORT, predictor),
        339: (SHORT, (kind,) * bands),
        (325 if tile else 279): (LONG, tuple(map(len, blocks))),
        (324 if tile else 273): (LONG, (0,) * len(blocks)),
        **({322: (LONG, tile), 323: (LONG, tile)} if tile else {278: (LONG, rows or height)}),
        **({338: (SHORT, extra)} if extra else {}),
        **(tags or {}),
    }
    return assembled([(entries, blocks)], order)


def assembled(pages: list[tuple[dict[int, tuple[int, Any]], list[bytes]]], order: str = "<") -> bytes:
    """A TIFF of several pages, each with its tags and its blocks of pixels; the blocks' places are filled in."""
    out = bytearray(struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8))
    last = 4
    for entries, blocks in pages:
        places = []
        for block in blocks:
            places.append(len(out))
            out += block + bytes(len(block) % 2)
        at = 324 if 324 in entries else 273
        entries = {**entries, at: (LONG, tuple(places))} if blocks else entries
        written = []
        for tag, (kind, value) in sorted(entries.items()):
            content, count = _value(kind, value, order)
            if len(content) > 4:
                place = len(out)
                out += content + bytes(len(content) % 2)
                content = struct.pack(f"{order}I", place)
            written.append(struct.pack(f"{order}HHI", tag, kind, count) + content.ljust(4, b"\0"))
        out[last : last + 4] = struct.pack(f"{order}I", len(out))
        out += struct.pack(f"{order}H", len(written)) + b"".join(written)
        last = len(out)
        out += bytes(4)
    return bytes(out)


def _value(kind: int, value: Any, order: str) -> tuple[bytes, int]:
    if isinstance(value, bytes):
        return value, len(value)
    values = value if isinstance(value, tuple) else (value,)
    if kind == RATIONAL:
        return b"".join(struct.pack(f"{order}2I", round(one * 100000), 100000) for one in values), len(values)
    return struct.pack(f"{order}{len(values)}{_LETTERS[kind]}", *values), len(values)


def _pieces(layer: np.ndarray, tile: int | None, rows: int) -> list[np.ndarray]:
    height, width, _ = layer.shape
    if tile is None:
        return [layer[top : top + rows] for top in range(0, height, rows)]
    padded = np.pad(layer, ((0, -height % tile), (0, -width % tile), (0, 0)), mode="edge")
    places = [(top, left) for top in range(0, height, tile) for left in range(0, width, tile)]
    return [padded[top : top + tile, left : left + tile] for top, left in places]


def _packed(piece: np.ndarray, order: str, bits: int | None, predictor: int) -> bytes:
    if bits:
        digits = (piece.reshape(len(piece), -1, 1) >> np.arange(bits - 1, -1, -1)) & 1
        return np.packbits(digits.reshape(len(piece), -1).astype(np.uint8), axis=1).tobytes()
    if predictor == 2:
        whole = piece.view(f"u{piece.dtype.itemsize}")
        piece = np.diff(whole, axis=1, prepend=np.zeros_like(whole[:, :1]))
    if predictor == 3:
        height, width, bands = piece.shape
        size = piece.dtype.itemsize
        bytes_ = np.ascontiguousarray(piece.astype(f">f{size}")).view(np.uint8).reshape(height, width * bands, size)
        sorted_ = bytes_.transpose(0, 2, 1).reshape(height, -1, bands)
        return np.diff(sorted_, axis=1, prepend=np.zeros_like(sorted_[:, :1])).tobytes()
    return piece.astype(piece.dtype.newbyteorder(order)).tobytes()


def profile(
    space: bytes, gamma: float | bytes, columns: np.ndarray | None = None, further: dict[bytes, bytes] | None = None
) -> bytes:
    """A colour profile of one gamma or curve: of grey, or of red, green and blue, whose XYZ (D50) are the columns."""
    curve = gamma if isinstance(gamma, bytes) else b"curv" + bytes(4) + struct.pack(">IHxx", 1, round(gamma * 256))
    tags = {b"desc": _named(), b"wtpt": _xyz([0.9642, 1.0, 0.8249]), **(further or {})}
    if columns is None:
        tags[b"kTRC"] = curve
    else:
        for letter, column in zip((b"r", b"g", b"b"), columns.T, strict=True):
            tags[letter + b"XYZ"], tags[letter + b"TRC"] = _xyz(column), curve
    return _profile(b"mntr", space, b"XYZ ", tags)


def ink_profile(lab: np.ndarray) -> bytes:
    """A CMYK profile of the colour lab[0] + inks @ lab[1:] (L*a*b*; 5 x 3).

    It is a table of the 16 corners; as it is affine, every way to interpolate gives the same.
    """
    axis = np.arange(2)
    corners = np.stack(np.meshgrid(axis, axis, axis, axis, indexing="ij"), axis=-1).reshape(16, 4)
    colours = lab[0] + corners @ lab[1:]
    levels = np.rint(colours * [652.8, 256, 256] + [0, 32768, 32768]).astype(">u2")
    matrix = struct.pack(">9i", *(np.eye(3, dtype=int) * 65536).ravel().tolist())
    lut = b"mft2" + bytes(4) + bytes([4, 3, 2, 0]) + matrix
    ramp = struct.pack(">HH", 0, 65535)
    lut += struct.pack(">HH", 2, 2) + 4 * ramp + levels.tobytes() + 3 * ramp
    white = _xyz([0.9642, 1.0, 0.8249])
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"desc": _named(), b"wtpt": white, b"A2B0": lut})


def _named() -> bytes:
    name = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(12 + 67)
    return name + bytes(-len(name) % 4)


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    place = 128 + 4 + 12 * len(tags)
    table, content = struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        table += struct.pack(">4sII", tag, place + len(content), len(data))
        content += data + bytes(-len(data) % 4)
    size = place + len(content)
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, kind, space, connection)
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + table + content


def _xyz(values: Any) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">iii", *(round(value * 65536) for value in values))


def dng(preview: bytes | None) -> bytes:
    """A camera's RAW of 64 x 64 numbers of the sensor, with a JPEG preview of 32 x 24 where one is given."""
    sensor = (np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 7) % 4096
    raw: dict[int, tuple[int, Any]] = {
        254: (LONG, 0),
        256: (LONG, 64),
        257: (LONG, 64),
        258: (SHORT, 16),
        259: (SHORT, 1),
        262: (SHORT, 32803),
        271: (ASCII, b"Test\0"),
        272: (ASCII, b"Camera\0"),
        273: (LONG, 0),
        274: (SHORT, 1),
        277: (SHORT, 1),
        278: (LONG, 64),
        279: (LONG, 64 * 64 * 2),
        33421: (SHORT, (2, 2)),
        33422: (1, bytes([0, 1, 1, 2])),
        50706: (1, bytes([1, 4, 0, 0])),
        50708: (ASCII, b"Test Camera\0"),
    }
    pages: list[tuple[dict[int, tuple[int, Any]], list[bytes]]] = [(raw, [sensor.tobytes()])]
    if preview is not None:
        small: dict[int, tuple[int, Any]] = {
            254: (LONG, 1),
            256: (LONG, 32),
            257: (LONG, 24),
            258: (SHORT, (8, 8, 8)),
            259: (SHORT, 7),
            262: (SHORT, 6),
            273: (LONG, 0),
            277: (SHORT, 3),
            278: (LONG, 24),
            279: (LONG, len(preview)),
        }
        pages.append((small, [preview]))
    return assembled(pages)
