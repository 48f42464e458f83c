"""Images in a zip or a tar, read where they lie: nothing is unpacked on disk."""

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from twofold.data.cache import cache_folder
from twofold.data.findings import Finding
from twofold.data.formats import File
from twofold.data.record import stamp_path
from twofold.data.sources.archive_index import DEFLATED, STORED, read_members
from twofold.data.sources.folder import left_out
from twofold.data.sources.gzip_blocks import GzipBlocks
from twofold.data.sources.listing import ARCHIVES
from twofold.data.sources.reach import open_regular
from twofold.data.sources.read_at import ReadAt
from twofold.data.sources.trees import TreesSource
from twofold.errors import TwofoldError

PACKED_OTHERWISE = (".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".7z", ".rar")  # without a place to begin at
_HEADER = struct.Struct("<4s5H3I2H")  # of a zip's member, before its name
_METHODS = {1: "shrunk", 9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz", 255: "a password"}


class Archive:
    """The images of one archive, sorted by path. Each reading opens the file anew, from any thread or process."""

    def __init__(self, path: Path, cache: Path) -> None:
        """Raises TwofoldError for an archive that cannot be read."""
        self._path = path
        self._stamp = stamp_path(path)
        is_packed = path.name.lower().endswith((".tar.gz", ".tgz"))
        self._blocks = GzipBlocks(path) if is_packed else None
        self._is_zip = path.suffix.lower() == ".zip"
        members = read_members(path, cache, self._blocks)
        self.paths, self.told = members.paths, members.told
        self._starts, self._sizes, self._methods = members.starts, members.sizes, members.methods
        self.findings: Sequence[Finding] = left_out(members.listing(), members.tables)
        if self._blocks is not None:
            text = f"{path.name} is compressed as a whole: to reach an image all before it is unpacked, in memory, once"
            self.findings = [*self.findings, Finding("TF048", text)]

    def file_stamps(self) -> Iterator[str]:
        """The archive's path, size and times, and each image's path in it."""
        archive = f"{self._path.resolve()} {self._stamp}"
        return (f"{archive} {path}" for path in self.paths)

    def open(self, index: int) -> File:
        """The file of an image; of a compressed one in memory."""
        if self._methods[index] != STORED:
            return io.BytesIO(self.read(index))
        start, size = self._span(index)
        if self._blocks is not None:
            blocks = self._blocks
            return io.BufferedReader(ReadAt(lambda at, count: blocks.read_at(start + at, count), size))
        file = open_regular(self._path)

        def read_at(at: int, count: int) -> bytes:
            file.seek(start + at)
            return file.read(count)

        return io.BufferedReader(ReadAt(read_at, size, end=file.close))

    def read(self, index: int) -> bytes:
        """The content of an image's file. Raises OSError where it cannot be read."""
        start, size = self._span(index)
        if self._blocks is not None:
            content = self._blocks.read_at(start, size)
        else:
            with open_regular(self._path) as file:
                file.seek(start)
                content = file.read(size)
        if len(content) < size:
            raise OSError("the archive is truncated")
        return _inflated(content) if self._methods[index] == DEFLATED else content

    def _span(self, index: int) -> tuple[int, int]:
        """First byte of the content as it lies there, and its length."""
        start, size, method = int(self._starts[index]), int(self._sizes[index]), int(self._methods[index])
        if method not in (STORED, DEFLATED):
            raise OSError(f"it is packed with {_METHODS.get(method, f'method {method}')}, which is not read in place")
        if not self._is_zip:
            return start, size
        with open_regular(self._path) as file:
            file.seek(start)
            header = file.read(_HEADER.size)
        if len(header) < _HEADER.size or not header.startswith(b"PK\3\4"):
            raise OSError("the archive is damaged: it has no member where its list says so")
        *_, name, extra = _HEADER.unpack(header)
        return start + _HEADER.size + name + extra, size


def open_archive(path: Path, name: str, cache: Path | None) -> TreesSource:
    """The images of one archive. Raises TwofoldError where it holds none or cannot be read."""
    return TreesSource([Archive(path, cache_folder(cache))], name, roots=[""], tops=[""])


def refuse_packed(name: str) -> None:
    """Raises TwofoldError for an archive that would have to be unpacked from its beginning for every image."""
    if name.lower().endswith(PACKED_OTHERWISE):
        raise TwofoldError(
            f"'{name}' is packed in a way that has no place to begin at within; archives are read in place, as "
            f"{', '.join(ARCHIVES)}. Pack it so, or give the unpacked folder."
        )


def stem_of(name: str) -> str:
    """An archive's name without its ending."""
    return next(name[: -len(end)] for end in sorted(ARCHIVES, key=len, reverse=True) if name.lower().endswith(end))


def _inflated(content: bytes) -> bytes:
    try:
        return zlib.decompress(content, -15)
    except zlib.error as error:
        raise OSError(f"its content in the archive is damaged ({error})") from error
