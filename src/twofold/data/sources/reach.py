"""What a source may open: regular files, and for a table those in its own folder, and what is on the web."""

import errno
import os
import posixpath
import stat
from pathlib import Path
from typing import BinaryIO

from twofold.data.record import shown
from twofold.data.sources.addresses import in_bucket, is_address, joined, shown_address
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

        An address on the web stays as it is. Raises TwofoldError naming `where` for what leads outside or to a bucket,
        unless that is allowed. A link of the last name must stay inside too, but is not followed in the result.
        """
        if "\0" in text:
            raise TwofoldError(f"{where} has the path {text!r}, but no path holds a zero character. Correct it.")
        if is_address(text):
            return _allowed(text, where, allow_outside=self._allow_outside)
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


class AddressReach:
    """The addresses that a table at an address may name: those below its folder, and any on the web."""

    def __init__(self, table: str, *, allow_outside: bool) -> None:
        self._folder = table.partition("?")[0].rpartition("/")[0] + "/"
        self._allow_outside = allow_outside

    def find(self, text: str, where: str) -> str:
        """The address that `text`, itself one or a path from the table's folder, leads to.

        Raises TwofoldError naming `where` for a path that leads out of the folder, and for another place of a bucket,
        unless the outside is allowed.
        """
        if is_address(text):
            is_inside = text.startswith(self._folder) and ".." not in text
            return text if is_inside else _allowed(text, where, allow_outside=self._allow_outside)
        path = posixpath.normpath(text.replace("\\", "/"))
        if path.startswith(("/", "../")) or path in (".", ".."):
            raise TwofoldError(
                f"{where} has the path '{shown(text)}', but a table at '{shown_address(self._folder)}' names files "
                "below its own folder. Give a path from there, or a whole address."
            )
        return joined(self._folder, path)


def _allowed(address: str, where: str, *, allow_outside: bool) -> str:
    """The address; only where it is on the web, unless the outside is allowed."""
    if in_bucket(address) and not allow_outside:
        raise TwofoldError(
            f"{where} names '{shown(shown_address(address))}' in a bucket, which your own keys open: a table from "
            "elsewhere could show any file of yours. Give --allow-outside if you trust it."
        )
    return address


def _require_regular(status: os.stat_result, path: str | Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
