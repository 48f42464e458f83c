"""Reading at any place of a .gz file, nothing unpacked on disk: the decompressor's state is kept every few MB."""

import zlib
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Any

from twofold.data.sources.data_file import DataFile

_INPUT = 2**14  # compressed bytes at a time
_LEAST = 2**22  # bytes between two kept states, of about 40 kB each
_MOST_POINTS = 4096  # about, at which a larger file has its states further apart
_BLOCKS_KEPT = 8  # threads read side by side, and not quite in order
_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class _Point:
    """Where a block begins, and all that is needed to go on from there."""

    start: int  # place in what comes out
    offset: int  # place in the file
    state: Any  # zlib's decompressor
    pending: bytes  # input that was read and not used


class GzipBlocks:
    """The content of a .gz file, by blocks of at least 4 MB; a block is unpacked again when it is asked for later.

    The first reading goes through the file from its beginning; each later one begins at the block. May be read by
    several threads. Reading raises OSError for a damaged file.
    """

    def __init__(self, file: DataFile) -> None:
        self._file = file
        self._spacing = max(_LEAST, file.size // _MOST_POINTS)
        self._points: list[_Point | None] = [_Point(0, 0, zlib.decompressobj(31), b"")]  # the last: None at the end
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._lock = Lock()

    def read_at(self, start: int, size: int) -> bytes:
        """Up to `size` bytes from `start` on; fewer at the end."""
        parts: list[bytes] = []
        with self._lock:
            number = self._block_at(start)
            while size > 0 and number is not None:
                point = self._points[number]
                assert point is not None
                block = self._block(number)
                part = block[start - point.start :][:size]
                parts.append(part)
                start, size = start + len(part), size - len(part)
                number = number + 1 if self._points[number + 1] is not None else None
        return b"".join(parts)

    def _block_at(self, start: int) -> int | None:
        """The block that holds a place; None beyond the end."""
        while (last := self._points[-1]) is not None and last.start <= start:
            self._block(len(self._points) - 1)
        return max((i for i, point in enumerate(self._points) if point and point.start <= start), default=None)

    def _block(self, number: int) -> bytes:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        point = self._points[number]
        assert point is not None
        try:
            block, following = _unpack(self._file, point, self._spacing)
        except zlib.error as error:
            raise OSError(f"the archive is damaged ({error})") from error
        if number + 1 == len(self._points):
            self._points.append(following)
        self._blocks[number] = block
        while len(self._blocks) > _BLOCKS_KEPT:
            self._blocks.popitem(last=False)
        return block


def _unpack(packed: DataFile, point: _Point, spacing: int) -> tuple[bytes, _Point | None]:
    """A block, and where the next one begins; None at the end of the file."""
    state, pending, offset = point.state.copy(), point.pending, point.offset
    parts, made = list[bytes](), 0
    with packed.open() as file:
        file.seek(offset)
        while made < spacing:
            if not pending:
                pending = file.read(_INPUT)
                offset += len(pending)
            if not pending:
                if not state.eof:
                    raise OSError("the archive is truncated")
                return b"".join(parts), None
            if state.eof:  # another part of the same file, as pigz and others write; or padding
                pending += file.read(2) if len(pending) < 2 else b""
                offset = file.tell()
                if not pending.startswith(_MAGIC):
                    return b"".join(parts), None
                state = zlib.decompressobj(31)
            part = state.decompress(pending)
            pending = state.unused_data
            parts.append(part)
            made += len(part)
    return b"".join(parts), _Point(point.start + made, offset, state, pending)
