"""The cache folder, and files in it that are either whole or not there."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from twofold.errors import TwofoldError

BUILDING = ".building-"
_LOCK = "lock"
_OLD_S = 24 * 3600.0


def cache_folder(cache: Path | None) -> Path:
    """`cache`, else $TWOFOLD_CACHE, else ~/.cache/twofold."""
    return Path(cache or os.environ.get("TWOFOLD_CACHE") or "~/.cache/twofold").expanduser()


@contextmanager
def cache_errors(folder: Path) -> Iterator[None]:
    """Turn a failure to write (no space, no permission) into a TwofoldError that names the folder."""
    try:
        yield
    except OSError as error:
        raise TwofoldError(
            f"the cache '{folder}' cannot be written ({error.strerror or error}); decoded pictures need a place with "
            "free space. Choose another one with --cache or the variable TWOFOLD_CACHE."
        ) from error


@contextmanager
def building_folder(parent: Path) -> Iterator[Path]:
    """A new folder in `parent`, locked while the block runs; removed afterwards unless it was moved away."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=BUILDING))
    with (folder / "unlocked").open("w") as lock:
        _try_lock(lock)
        (folder / "unlocked").rename(folder / _LOCK)  # whoever finds a lock finds it held, as long as we live
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, final: Path) -> None:
    """Give a finished building folder its name. Where another process was faster, its result stays."""
    sync(folder)
    try:
        folder.rename(final)
    except OSError:
        if not final.is_dir():
            raise
    else:
        (final / _LOCK).unlink()
    sync(final.parent)


def clean(parent: Path) -> None:
    """Remove what builds that were killed have left in `parent`; running ones hold a lock and stay."""
    for folder in parent.glob(f"{BUILDING}*"):
        if _is_dead(folder):
            shutil.rmtree(folder, ignore_errors=True)


def write_whole(path: Path, text: str) -> None:
    """Replace the small file `path` in one move."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(temporary).replace(path)


def sync(path: Path) -> None:
    """Make a file or a folder's entries survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_dead(folder: Path) -> bool:
    try:
        if not (folder / _LOCK).exists():  # the moment between making the folder and its lock
            return time.time() - folder.stat().st_mtime > _OLD_S
        with (folder / _LOCK).open() as lock:
            return _try_lock(lock)
    except OSError:
        return False  # it has just been moved or removed


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
