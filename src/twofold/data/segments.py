"""Decoded images by the content of their files, in segments: packed pixels, and an index that is whole or not there.

    <pool>/<segment>.pixels   images (c, H, W) of uint8, one after the other
    <pool>/<segment>.npz      the index, once the segment is sealed: then neither file changes any more
    <pool>/<segment>.rows     while it is written: a line for each image, after its pixels
    <pool>/<segment>.lock     held by the process that writes

Images are written as they are decoded, so a process that is killed loses those that it was working on. The next one
seals what is left, after comparing checksums: the system may have lost pixels where the power failed.
"""

import io
import json
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Lock

import numpy as np
from jaxtyping import UInt8

from twofold.data.segment_index import Row, seal
from twofold.files import Claim, claim, unused_name

_MOST_BYTES, _MOST_IMAGES = 2**30, 2**16  # of a segment
_SYNC_S = 5.0  # seconds whose work a power cut may cost


class SegmentWriter:
    """Adds images to a pool, from any number of threads."""

    def __init__(self, pool: Path) -> None:
        self._pool = pool
        self._lock = Lock()
        self._segment: _Segment | None = None
        self._begun: set[bytes] = set()
        self.count = 0  # images that were added here

    def begin(self, content: str) -> bool:
        """True for the one caller that is to add the image with this content, False for all after it."""
        name = bytes.fromhex(content)
        with self._lock:
            if name in self._begun:
                return False
            self._begun.add(name)
            return True

    def add(self, content: str, kind: str, pixels: UInt8[np.ndarray, "c H W"] | None) -> None:
        """Keep an image that was begun. Raises OSError where it cannot be written."""
        check = 0 if pixels is None else zlib.crc32(pixels.data)
        with self._lock:
            if self._segment is None or self._segment.is_full():
                self._seal()
                self._segment = _Segment(self._pool)
            self._segment.write(content, kind, pixels, check)
            self.count += 1

    def seal(self) -> None:
        """Make what was added part of the pool. Raises OSError where that cannot be; `recover` does it later."""
        with self._lock:
            self._seal()

    def _seal(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.seal()


@contextmanager
def writing(pool: Path) -> Iterator[SegmentWriter]:
    """A writer whose images are part of the pool when the block ends, however it ends."""
    writer = SegmentWriter(pool)
    try:
        yield writer
    except BaseException:
        with suppress(OSError):
            writer.seal()
        raise
    writer.seal()


class _Segment:
    """One that is being written."""

    def __init__(self, pool: Path) -> None:
        pool.mkdir(parents=True, exist_ok=True)
        self._base = unused_name(pool, "")
        with ExitStack() as stack:
            stack.enter_context(claim(self._base.with_suffix(".lock")))
            self._lines = stack.enter_context(self._base.with_suffix(".rows").open("xb"))
            self._file = stack.enter_context(self._base.with_suffix(".pixels").open("xb"))
            self._stack = stack.pop_all()
        self._rows: list[Row] = []
        self._end, self._synced = 0, time.monotonic()

    def is_full(self) -> bool:
        return self._end >= _MOST_BYTES or len(self._rows) >= _MOST_IMAGES

    def write(self, content: str, kind: str, pixels: UInt8[np.ndarray, "c H W"] | None, check: int) -> None:
        height, width = (0, 0) if pixels is None else pixels.shape[1:]
        row = Row(content, self._end, 0 if pixels is None else pixels.nbytes, height, width, check, kind)
        if pixels is not None:
            self._file.write(pixels.data)
            self._file.flush()  # to the system, which keeps it if this process is killed
        self._lines.write(json.dumps(row).encode() + b"\n")
        self._lines.flush()
        self._rows.append(row)
        self._end += row.length
        if time.monotonic() > self._synced + _SYNC_S:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def seal(self) -> None:
        with self._stack:
            self._file.close()
            self._lines.close()
            seal(self._base, self._rows)
            self._base.with_suffix(".rows").unlink()
            with suppress(OSError):  # Windows removes no file that is open
                self._base.with_suffix(".lock").unlink()


def recover(pool: Path) -> None:
    """Seal the segments that killed processes have left in `pool`; those of running ones, which hold a lock, stay."""
    for lines in pool.glob("*.rows"):
        with suppress(OSError), claim(lines.with_suffix(".lock")) as held:  # OSError: another user's, who may seal it
            if held is not Claim.TAKEN and lines.exists():
                seal(lines.with_suffix(""), _whole_rows(lines))
                if held is Claim.HELD:  # without locks its writer may live
                    lines.unlink()
        if not lines.exists():
            with suppress(OSError):
                lines.with_suffix(".lock").unlink(missing_ok=True)


def _whole_rows(lines: Path) -> list[Row]:
    """Those whose line is whole and whose pixels are there."""
    rows = []
    pixels = lines.with_suffix(".pixels")
    with pixels.open("rb") if pixels.exists() else io.BytesIO() as file:
        for line in lines.read_bytes().split(b"\n")[:-1]:
            with suppress(ValueError, TypeError):  # what a power cut left of it
                row = Row(*json.loads(line))
                file.seek(row.start)
                if zlib.crc32(file.read(row.length)) == row.check:
                    rows.append(row)
    return rows
