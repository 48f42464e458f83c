"""Files that are either whole or not there (temporary file in the same folder, fsync, rename), and locks on files."""

import errno
import json
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from twofold.errors import TwofoldError

_WAIT_S = 2.0 if os.name == "nt" else 0.0  # Windows replaces no file that somebody has open at that moment
_NOT_OFFERED = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)  # by some mounted buckets
_NO_SYNC = (errno.EINVAL, errno.EBADF, *_NOT_OFFERED)
_NO_APPEND = (errno.EINVAL, errno.EPERM, *_NOT_OFFERED)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content`; a kill at any moment leaves the old file or the new one, never a part of it.

    Where the file system renames nothing (some mounted buckets), it is written at its place instead. A new file gets
    the permissions of the umask, a replaced one keeps those it had. Raises OSError with the name `path` where it cannot
    be written, on a full disk for example; the old file is then as it was.
    """
    temporary = unused_name(path.parent, f".{path.name}.", ".tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            _sync(file.fileno())
        with suppress(OSError):  # there was none, or the file system keeps no permissions
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        try:
            _replace(temporary, path)
        except OSError as error:
            if error.errno not in _NOT_OFFERED:
                raise
            path.write_bytes(content)
            temporary.unlink()
        sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):  # a write that fails names no file, a rename the temporary one
            error.filename, error.filename2 = str(path), None
        raise


def replace_whole(written: Path, path: Path) -> None:
    """Put a file that was written beside it in the place of `path`, safe from a power cut. Raises OSError."""
    sync_file(written)
    _replace(written, path)
    sync_folder(path.parent)


def append_text(path: Path, text: str) -> None:
    """Add `text` to the end of a file, all of it or nothing. Raises OSError with the name `path` where that fails.

    Where the file system appends nothing (some mounted buckets), the file is written anew.
    """
    size = path.stat().st_size if path.exists() else 0
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        if error.errno in _NO_APPEND:
            write_atomically(path, (path.read_bytes() if size else b"")[:size] + text.encode())
            return
        with suppress(OSError):
            os.truncate(path, size)
        error.filename = str(path)
        raise


def write_json(path: Path, value: Any) -> None:
    r"""`write_atomically` for JSON with readable indentation.

    Bytes of a file's name that are no UTF-8, halves of characters in Python, are written as JSON's \udcff and read back
    as they were.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, text.encode(errors="backslashreplace"))


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut, where the system can (Windows opens no folders)."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        _sync(handle)
    finally:
        os.close(handle)


def _sync(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def sync_file(path: Path) -> None:
    """Make the content of a file survive a power cut."""
    with path.open("r+b") as file:
        _sync(file.fileno())


def unused_name(folder: Path, prefix: str, suffix: str = "") -> Path:
    """A path in `folder` that nobody else uses. What is made there has the permissions of the umask.

    `tempfile` makes files and folders that nobody but their owner may read.
    """
    return folder / f"{prefix}{secrets.token_hex(8)}{suffix}"


def make_folder(folder: Path, flag: str) -> None:
    """Create `folder` (parents too) and see that it can be written. Raises TwofoldError naming `flag`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise TwofoldError(
            f"cannot write to '{folder}' ({error.strerror}); a folder that can be written is needed. Change {flag}."
        ) from error


def require_free(path: Path, flag: str, *, is_own: Callable[[Path], bool]) -> None:
    """Raises TwofoldError naming `flag` where `path` is there already and is no file of the kind that is to be written.

    `is_own` looks into a file. To be asked before the work: nothing of the user's is overwritten.
    """
    if not os.path.lexists(path):
        return
    if not path.is_file():
        raise TwofoldError(f"{flag} '{path}' is not a file. Choose another name for {flag}.")
    if not is_own(path):
        raise TwofoldError(
            f"{flag} '{path}' exists already and is not of the kind that this command writes; nothing of yours "
            f"is overwritten. Move it away or choose another name for {flag}."
        )


def _replace(temporary: Path, path: Path) -> None:
    until = time.monotonic() + _WAIT_S
    while True:
        try:
            temporary.replace(path)
        except PermissionError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.05)
        else:
            return


_NO_LOCKS = (errno.ENOLCK, *_NOT_OFFERED)


class Claim(Enum):
    """What became of asking for a lock."""

    HELD = auto()  # nobody else has it until the block ends or this process dies
    TAKEN = auto()  # another process, or another block of this one, has it
    IMPOSSIBLE = auto()  # the file system has no locks (some network file systems, some FUSE)


@contextmanager
def claim(path: Path, *, wait: bool = False) -> Iterator[Claim]:
    """Ask for the lock on `path`, a file made for nothing else; with `wait` until nobody else has it.

    Raises OSError where the file cannot be made or opened for writing.
    """
    lock = FileLock(path, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(blocking=wait)
    except Timeout:
        yield Claim.TAKEN
        return
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        yield Claim.IMPOSSIBLE
        return
    try:
        yield Claim.HELD
    finally:
        lock.release()
