"""The cache folder, and folders in it that are either whole or not there."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from platformdirs import user_cache_path

from twofold.errors import TwofoldError
from twofold.files import Claim, claim, sync_folder, unused_name

BUILDING = ".building-"
_LOCK = "lock"
_OLD_S = 24 * 3600.0


def cache_folder(cache: Path | None) -> Path:
    """`cache`, else $TWOFOLD_CACHE, else the place that the system has for it: ~/.cache/twofold on Linux."""
    if chosen := cache or os.environ.get("TWOFOLD_CACHE"):
        return Path(chosen).expanduser()
    return user_cache_path("twofold", appauthor=False)


@contextmanager
def cache_errors(folder: Path) -> Iterator[None]:
    """Turn a failure to read or write (no space, no permission) into a TwofoldError that names the folder."""
    try:
        yield
    except OSError as error:
        what = f"'{error.filename}': {error.strerror}" if error.filename and error.strerror else str(error)
        raise TwofoldError(
            f"the cache '{folder}' cannot be written or read ({what}); decoded images need a place with free space. "
            "Choose another one with --cache or the variable TWOFOLD_CACHE."
        ) from error


@contextmanager
def building_folder(parent: Path) -> Iterator[Path]:
    """A new, empty folder inside a workshop in `parent`, which is locked while the block runs and removed afterwards.

    The lock lies beside the folder that is built, not in it: Windows moves no folder that holds an open file.
    """
    parent.mkdir(parents=True, exist_ok=True)
    while True:
        workshop = unused_name(parent, BUILDING)
        workshop.mkdir()
        try:
            with ExitStack() as stack:
                if not _is_ours(stack, workshop):
                    continue
                (workshop / "store").mkdir()
                yield workshop / "store"
                return
        finally:
            shutil.rmtree(workshop, ignore_errors=True)


def publish(folder: Path, final: Path) -> None:
    """Give a finished building folder its name. Where another process was faster, its result stays."""
    sync_folder(folder)
    try:
        folder.rename(final)
    except OSError:
        if not final.is_dir():
            raise
    sync_folder(final.parent)


def clean(parent: Path) -> None:
    """Remove what builds that were killed have left in `parent`; running ones hold a lock and stay."""
    for workshop in parent.glob(f"{BUILDING}*"):
        with suppress(OSError):  # another user's, or just removed
            _remove_dead(workshop)


def set_aside(folder: Path, workshop: Path, is_damaged: Callable[[Path], bool]) -> None:
    """Move a damaged folder into a workshop, which goes; one that another process put there meanwhile comes back."""
    if not folder.exists() or not is_damaged(folder):
        return
    aside = workshop / "damaged"
    try:
        folder.rename(aside)
    except FileNotFoundError:
        return  # another process was faster
    if not is_damaged(aside):
        publish(aside, folder)


def _is_ours(stack: ExitStack, workshop: Path) -> bool:
    """Lock a new workshop. False where another process, that cleans, took it for a dead one a moment ago."""
    try:
        held = stack.enter_context(claim(workshop / _LOCK))
    except FileNotFoundError:
        return False
    return held is Claim.IMPOSSIBLE or (held is Claim.HELD and (workshop / _LOCK).exists())


def _remove_dead(workshop: Path) -> None:
    lock = workshop / _LOCK
    if not lock.exists():  # the moment between making the workshop and its lock
        _remove_old(workshop)
        return
    with claim(lock) as held:
        if held is Claim.HELD:  # and as long as it is, nobody begins to build here
            shutil.rmtree(workshop, ignore_errors=True)
        elif held is Claim.IMPOSSIBLE:
            _remove_old(workshop)
    if held is Claim.HELD and workshop.exists():  # Windows removes no file that is open
        lock.unlink(missing_ok=True)
        workshop.rmdir()


def _remove_old(workshop: Path) -> None:
    """Without a lock: a build in which nothing was written for a day is taken for dead."""
    if time.time() - max(path.stat().st_mtime for path in (workshop, *workshop.rglob("*"))) > _OLD_S:
        shutil.rmtree(workshop, ignore_errors=True)
