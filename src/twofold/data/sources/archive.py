"""Images in a zip or a tar, read where they lie: nothing is unpacked on disk."""

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from twofold.data.cache import cache_folder
from twofold.data.findings import Finding
from twofold.data.formats import File
from twofold.data.record import shown
from twofold.data.sources.archive_index import DEFLATED, STORED, read_members
from twofold.data.sources.data_file import DataFile
from twofold.data.sources.folder import left_out
from twofold.data.sources.gzip_blocks import GzipBlocks
from twofold.data.sources.listing import ARCHIVES, is_archive
from twofold.data.sources.read_at import ReadAt
from twofold.data.sources.shards import numberless
from twofold.data.sources.trees import Part, Tree, TreesSource
from twofold.errors import TwofoldError

PACKED_OTHERWISE = (".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".7z", ".rar")  # without a place to begin at
_HEADER = struct.Struct("<4s5H3I2H")  # of a zip's member, before its name
_NAMES = 256  # bytes of a name and more between that header and the content, read with them in one go
_BLOCK = 2**16
_SMALL = 2**18  # bytes of an image that are read at once, where its header alone is asked for
_METHODS = {1: "shrunk", 9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz", 255: "a password"}


class Archive:
    """The images of one archive, sorted by path, read from any thread or process."""

    def __init__(self, file: DataFile, cache: Path, said: Sequence[Finding] = ()) -> None:
        """`said`: of its file. Raises TwofoldError for an archive that cannot be read."""
        self._file = file
        is_packed = file.path.name.lower().endswith((".tar.gz", ".tgz"))
        self._blocks = GzipBlocks(file) if is_packed else None
        self._is_zip = file.path.suffix.lower() == ".zip"
        members = read_members(file, cache, self._blocks)
        self.paths, self.told = members.paths, members.told
        self._starts, self._sizes, self._methods = members.starts, members.sizes, members.methods
        self.findings: Sequence[Finding] = [*said, *left_out(members.listing(), members.tables)]
        if self._blocks is not None:
            name = file.path.name
            text = f"{name} is compressed as a whole: to reach an image all before it is unpacked, in memory, once"
            self.findings = [*self.findings, Finding("TF048", text)]

    def file_stamps(self) -> Iterator[str]:
        """The archive's path, size and times, and each image's path in it."""
        archive = f"{self._file.place} {self._file.stamp}"
        return (f"{archive} {path}" for path in self.paths)

    def open(self, index: int) -> File:
        """The file of an image; of a small or compressed one in memory."""
        if self._methods[index] == DEFLATED or self._sizes[index] <= _SMALL:
            return io.BytesIO(self.read(index))
        start, size, _ = self._content(index, 0)
        return io.BufferedReader(ReadAt(lambda at, count: self._bytes(start + at, count), size), _BLOCK)

    def read(self, index: int) -> bytes:
        """The content of an image's file. Raises OSError where it cannot be read."""
        start, size, content = self._content(index, int(self._sizes[index]))
        if len(content) < size:
            content += self._bytes(start + len(content), size - len(content))
        if len(content) < size:
            raise OSError("the archive is truncated")
        return _inflated(content) if self._methods[index] == DEFLATED else content

    def _content(self, index: int, wanted: int) -> tuple[int, int, bytes]:
        """First byte of the content as it lies there, its length, and its first `wanted` bytes, or some of them."""
        start, size, method = int(self._starts[index]), int(self._sizes[index]), int(self._methods[index])
        if method not in (STORED, DEFLATED):
            raise OSError(f"it is packed with {_METHODS.get(method, f'method {method}')}, which is not read in place")
        if not self._is_zip:
            return start, size, self._bytes(start, wanted) if wanted else b""
        head = self._bytes(start, _HEADER.size + (_NAMES + wanted if wanted else 0))
        if len(head) < _HEADER.size or not head.startswith(b"PK\3\4"):
            raise OSError("the archive is damaged: it has no member where its list says so")
        *_, name, extra = _HEADER.unpack_from(head)
        skipped = _HEADER.size + name + extra
        return start + skipped, size, head[skipped:][:size]

    def _bytes(self, start: int, size: int) -> bytes:
        return self._file.read_at(start, size) if self._blocks is None else self._blocks.read_at(start, size)


def open_archive(file: DataFile, name: str, cache: Path | None) -> TreesSource:
    """The images of one archive. Raises TwofoldError where it holds none or cannot be read."""
    return TreesSource([Part(Archive(file, cache_folder(cache)))], name)


def part_called(tree: Tree, call: str) -> Part:
    """An archive or a folder as one of several, below what it is called; a numbered shard without its number."""
    top = numberless(stem_of(call)) if is_archive(call) else call
    return Part(tree, f"{shown(call)}/", f"{shown(top)}/")


def refuse_packed(name: str) -> None:
    """Raises TwofoldError for an archive that would have to be unpacked from its beginning for every image."""
    if name.lower().endswith(PACKED_OTHERWISE):
        raise TwofoldError(
            f"'{name}' is compressed in a way that can only be read from its beginning; archives are read in place, as "
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
