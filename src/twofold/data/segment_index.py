"""What the sealed segments of a pool hold, as columns: found by content, an image a row."""

import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, Int64, Shaped, UInt32

from twofold.files import sync_file, write_atomically

Contents = Shaped[np.ndarray, " n"]  # SHA-256 of files, 32 bytes each (dtype S32)
CONTENT = np.dtype("S32")


class Row(NamedTuple):
    """One image of a segment. An unreadable one has no pixels, and `kind` says why."""

    content: str  # SHA-256 of the file, hex
    start: int  # its first byte
    length: int  # in bytes
    height: int
    width: int
    check: int  # CRC-32 of its pixels
    kind: str  # what it turned out to be, as JSON


@dataclass(frozen=True)
class SegmentIndex:
    """The images of a pool, or of one segment."""

    segments: list[str]
    kinds: list[str]
    contents: Contents
    segment: Int32[np.ndarray, " n"]  # place in `segments`
    starts: Int64[np.ndarray, " n"]
    lengths: Int64[np.ndarray, " n"]
    sizes: Int32[np.ndarray, "n 2"]  # height, width in pixels; 0, 0 of an unreadable one
    checks: UInt32[np.ndarray, " n"]
    kind: Int32[np.ndarray, " n"]  # place in `kinds`

    def __len__(self) -> int:
        return len(self.contents)

    def find(self, contents: Contents) -> Int64[np.ndarray, " m"]:
        """The row of each content, -1 where there is none."""
        if len(self) == 0:
            return np.full(len(contents), -1, np.int64)
        places = np.minimum(np.searchsorted(self._sorted, contents), len(self) - 1)
        return np.where(self._sorted[places] == contents, self._order[places], -1)

    def row(self, place: int) -> Row:
        """An image as it was added."""
        return Row(
            content=as_hex(self.contents[place : place + 1])[0],
            start=int(self.starts[place]),
            length=int(self.lengths[place]),
            height=int(self.sizes[place, 0]),
            width=int(self.sizes[place, 1]),
            check=int(self.checks[place]),
            kind=self.kinds[int(self.kind[place])],
        )

    def holds(self, content: str) -> bool:
        """Whether an image with this content (hex) is there."""
        return len(self) > 0 and bool(self.find(as_contents([content]))[0] >= 0)

    @cached_property
    def _order(self) -> Int64[np.ndarray, " n"]:
        return np.argsort(self.contents, kind="stable")

    @cached_property
    def _sorted(self) -> Contents:
        return self.contents[self._order]


def as_contents(digests: Iterable[str]) -> Contents:
    """Hex digests as a column."""
    return np.frombuffer(bytes.fromhex("".join(digests)), CONTENT)


def as_hex(contents: Contents) -> list[str]:
    """The inverse of `as_contents`."""
    text = np.ascontiguousarray(contents).tobytes().hex()
    return [text[start : start + 64] for start in range(0, len(text), 64)]


def seal(base: Path, rows: Sequence[Row]) -> None:
    """Write the index of the segment `base`, whose pixels are complete. Raises OSError."""
    pixels = base.with_suffix(".pixels")
    if pixels.exists():
        sync_file(pixels)
    kinds = list(dict.fromkeys(row.kind for row in rows))
    place = {kind: number for number, kind in enumerate(kinds)}
    stream = io.BytesIO()
    np.savez(
        stream,
        contents=as_contents(row.content for row in rows),
        starts=np.array([row.start for row in rows], np.int64),
        lengths=np.array([row.length for row in rows], np.int64),
        sizes=np.array([(row.height, row.width) for row in rows], np.int32).reshape(-1, 2),
        checks=np.array([row.check for row in rows], np.uint32),
        kind=np.array([place[row.kind] for row in rows], np.int32),
        kinds=np.frombuffer(json.dumps(kinds).encode(), np.uint8),
    )
    write_atomically(base.with_suffix(".npz"), stream.getvalue())


def read_index(pool: Path) -> SegmentIndex:
    """All images in the sealed segments of `pool`, but for those whose pixels are gone."""
    return _joined([one for path in sorted(pool.glob("*.npz")) if (one := read_segment(path)) is not None])


def read_segment(path: Path) -> SegmentIndex | None:
    """One segment by its .npz file; None where that is damaged. Raises OSError where it cannot be opened."""
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            columns = {name: arrays[name] for name in arrays.files}
        kinds = json.loads(columns.pop("kinds").tobytes())
        there = columns["starts"] + columns["lengths"] <= _bytes_of(path.with_suffix(".pixels"))
        kept = {name: column[there] for name, column in columns.items()}
        return SegmentIndex([path.stem], kinds, segment=np.zeros(int(there.sum()), np.int32), **kept)
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, FileNotFoundError):
        return None


def _bytes_of(pixels: Path) -> int:
    return pixels.stat().st_size if pixels.exists() else 0


def _joined(parts: Sequence[SegmentIndex]) -> SegmentIndex:
    kinds = list(dict.fromkeys(kind for part in parts for kind in part.kinds))
    place = {kind: number for number, kind in enumerate(kinds)}

    def column(name: str, empty: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
        return np.concatenate([empty, *(getattr(part, name) for part in parts)])

    renumbered = [np.array([place[kind] for kind in part.kinds], np.int32)[part.kind] for part in parts]
    return SegmentIndex(
        segments=[part.segments[0] for part in parts],
        kinds=kinds,
        contents=column("contents", np.zeros(0, CONTENT)),
        segment=np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts]),
        starts=column("starts", np.zeros(0, np.int64)),
        lengths=column("lengths", np.zeros(0, np.int64)),
        sizes=column("sizes", np.zeros((0, 2), np.int32)),
        checks=column("checks", np.zeros(0, np.uint32)),
        kind=np.concatenate([np.zeros(0, np.int32), *renumbered]),
    )
