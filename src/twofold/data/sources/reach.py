"""Which files a source may open: regular ones, and for a table those in its own folder."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from twofold.data.record import shown
from twofold.errors import TwofoldError

_AT_ONCE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: str | Path) -> BinaryIO:
    """A file open for reading. Raises OSError for anything else: a pipe would never end, a device does things."""
    _require_regular(Path(path).stat(), path)
    handle = os.open(path, _AT_ONCE)
    try:
        _require_regular(os.fstat(handle), path)  # it may have been changed in between
    except OSError:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def read_regular(path: str | Path) -> bytes:
    """The content of a file. Raises OSError as `open_regular` does."""
    with open_regular(path) as file:
        return file.read()


class Reach:
    """The files that a table in the folder `root` may name."""

    def __init__(self, root: Path, *, allow_outside: bool) -> None:
        self._root = root
        self._inside = os.path.join(os.path.realpath(root), "")  # noqa: PTH118  # ends in a separator
        self._allow_outside = allow_outside
        self._folders: dict[str, str] = {}  # as spelt -> without links; few, however many images

    def find(self, text: str, where: str) -> str:
        """Where the path `text`, absolute or relative to the folder, leads: the same for all spellings of one file.

        Raises TwofoldError naming `where`, unless it stays inside or the outside is allowed. A link of the last name
        must stay inside too, but is not followed in the result.
        """
        if "\0" in text:
            raise TwofoldError(f"{where} has the path {text!r}, but no path holds a zero character. Correct it.")
        folder, name = os.path.split(os.path.join(self._root, text))  # noqa: PTH118
        if name in ("", os.curdir, os.pardir):
            folder, name = os.path.join(folder, name), ""  # noqa: PTH118
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        place = os.path.join(self._folders[folder], name)  # noqa: PTH118
        if not self._allow_outside:
            self._require_inside(text, place, where)
        return place

    def _require_inside(self, text: str, place: str, where: str) -> None:
        real = os.path.realpath(place) if os.path.islink(place) else place  # noqa: PTH114
        if not os.path.join(real, "").startswith(self._inside):  # noqa: PTH118
            raise TwofoldError(
                f"{where} has the path '{shown(text)}', which leads to '{shown(real)}', but a table names files in its "
                f"own folder '{self._root}' or below: one from elsewhere could show any file of yours. Move the files "
                "there, or give --allow-outside if you trust the table."
            )


def _require_regular(status: os.stat_result, path: str | Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
