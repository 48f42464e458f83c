"""What every source of images offers, whatever form the images come in."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from PIL import Image

from twofold.data.findings import Finding

_PART = re.compile(r"(?<=.)(#page=\d+)?(#\d+,\d+,\d+,\d+)?$", re.DOTALL)  # of a file: a page, a tile
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One image of a source, readable or not."""

    path: str  # as shown to people, unique: relative to the source's root, or "train/00042" in a torchvision set
    label: str | None = None
    split: str | None = None  # one of SPLITS; None where the source has no splits
    group: str | None = None  # images of one group are never divided by a cut; None: a group of its own


@runtime_checkable
class Source(Protocol):
    """Images in a fixed order, in whatever form they lie; an object of your own may be one (docs/python.md).

    `read` and `open` may be called from several threads at once. Whatever they raise sets that image aside, as an
    unreadable file is.
    """

    @property
    def name(self) -> str:
        """The source as the user gave it."""
        ...

    @property
    def records(self) -> Sequence[Record]:
        """One for each image, in an order that depends on the images alone."""
        ...

    @property
    def findings(self) -> Sequence[Finding]:
        """What was decided and what is wrong, as seen while looking for the images."""
        ...

    def stamp(self) -> str:
        """A cheap fingerprint, a text that changes whenever an image may have changed; best without reading them."""
        ...

    def open(self, index: int) -> BinaryIO | Image.Image:
        """An open file to read a header from, or a decoded image. Raises OSError where there is none."""
        ...

    def read(self, index: int) -> bytes | Image.Image:
        """The bytes of the file, or a decoded image. Raises OSError where there is none."""
        ...


@runtime_checkable
class Stamped(Protocol):
    """A source each of whose images is a file, so that one that has not changed need not be read again."""

    def file_stamps(self) -> Iterable[str]:
        """For each image a text that changes whenever its file may have changed, with the file's place."""
        ...


@runtime_checkable
class OnDisk(Protocol):
    """A source whose images may be files of their own, which another library may open."""

    def path_of(self, index: int) -> Path | None:
        """Where an image lies; None where it is no file of its own."""
        ...


def digest(parts: Iterable[object]) -> str:
    """SHA-256 (hex) over numbers, strings, None and lists of them; order counts."""
    return hashlib.sha256(json.dumps(list(parts), separators=(",", ":")).encode()).hexdigest()


def digest_of_texts(texts: Iterable[str]) -> str:
    """`digest` of plain texts without characters that JSON escapes, in bounded memory."""
    state = hashlib.sha256()
    before = "["
    for text in texts:
        state.update(f'{before}"{text}"'.encode())
        before = ","
    state.update(b"]" if before == "," else b"[]")
    return state.hexdigest()


def file_stamp(stat: os.stat_result) -> tuple[int, int, int]:
    """Size and times of a file; the change time (ctime) moves with the content even where somebody resets mtime."""
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def stamp_path(path: Path) -> tuple[int, int, int] | None:
    """`file_stamp` of a path, None where there is no such file."""
    try:
        return file_stamp(path.stat())
    except OSError:
        return None


def shown(path: str) -> str:
    """A path that can be printed and written as UTF-8, also where a file's name is neither."""
    return path if path.isascii() else path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def file_of(path: str) -> str:
    """The file that a tile or a page is of, by its path; a path of another kind is its own.

    >>> file_of("slides/a.tif#0,256,256,256"), file_of("stack.tif#page=3"), file_of("a#1.png")
    ('slides/a.tif', 'stack.tif', 'a#1.png')
    """
    return _PART.sub("", path) if "#" in path else path
