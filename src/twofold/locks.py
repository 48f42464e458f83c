"""Locks on files between processes: the system drops them when a process dies, however it dies."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from pathlib import Path

from filelock import FileLock, Timeout

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


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
