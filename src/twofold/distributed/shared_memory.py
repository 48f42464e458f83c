"""Small messages between the processes of one machine, through memory that they share.

A step with global batch norm sends some thirty messages of a few kilobytes. Through gloo's sockets each costs about a
millisecond, through shared memory some microseconds. Two processes on two cores had 0.58 of the speed of one process
with two threads through gloo, and 1.17 through shared memory (2026-11-24, docs/notebook.md; the second figure again in
benchmarks/RESULTS.md): hence this file, and not gloo alone.

Legend: K processes, n numbers a process.
"""

import mmap
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from jaxtyping import Shaped
from torch import Tensor

from twofold.errors import TwofoldError

try:
    import fcntl
except ImportError:  # Windows, where processes send through sockets
    fcntl = None  # type: ignore[assignment]

_SHARED_MEMORY = "/dev/shm"
_SLOT_BYTES = 2**20
_LINE_BYTES = 64  # a flag a cache line, so that writers do not disturb each other
_FREE_LOOKS = 2_000  # some 0.1 ms of looking without giving the core away
_BRIEF_S, _NAP_S = 0.01, 1e-4
_ALIVE_EVERY_S = 0.5
MOST_PROCESSES = 8  # every process reads what all wrote; beyond this a ring moves less


def can_share(processes: int) -> bool:
    """Whether K processes of this machine may use a mailbox.

    The flag that follows the data must become visible after them: x86 orders a process' writes, others need a fence.
    Locks that tell who lives are those of Unix.
    """
    return fcntl is not None and processes <= MOST_PROCESSES and platform.machine().lower() in ("x86_64", "amd64")


def new_mailbox(processes: int) -> Path | None:
    """Make the file behind a mailbox in shared memory; None where the system has no such place, or too little of it."""
    if not os.access(_SHARED_MEMORY, os.W_OK):
        return None
    number, name = tempfile.mkstemp(prefix="twofold-", dir=_SHARED_MEMORY)
    try:
        os.posix_fallocate(number, 0, processes * (_LINE_BYTES + 2 * _SLOT_BYTES))
    except OSError:
        Path(name).unlink()
        return None
    finally:
        os.close(number)
    return Path(name)


class Mailbox:
    """One process' end. All K must call the same methods in the same order with the same shapes.

    Each writes its numbers into a slot of its own, raises its flag to the number of the message, and reads all slots
    once all flags are up. Two sets of slots alternate: nobody writes message i + 2 before all have read message i.
    """

    def __init__(self, file: int, rank: int, size: int) -> None:
        self._file, self._rank, self._size, self._message = file, rank, size, 0
        memory = mmap.mmap(file, size * (_LINE_BYTES + 2 * _SLOT_BYTES))
        self._flags = memoryview(memory)[: size * _LINE_BYTES].cast("q")
        slots = torch.frombuffer(memory, dtype=torch.uint8, offset=size * _LINE_BYTES)
        self._slots = slots.view(2, size, _SLOT_BYTES)
        # the system lets go of a lock when its process ends, however it ends
        fcntl.lockf(file, fcntl.LOCK_EX, 1, rank)

    def stack(self, values: Shaped[Tensor, "n"]) -> Shaped[Tensor, "k n"]:
        """The numbers of all processes, one process a row."""
        return torch.cat([rows.clone() for rows in self._pieces(values)], dim=1)

    def sum(self, values: Shaped[Tensor, "n"]) -> Shaped[Tensor, "n"]:
        """Their sum, added in the same order in every process."""
        return torch.cat([rows.sum(dim=0) for rows in self._pieces(values)])

    def _pieces(self, values: Tensor) -> Iterator[Tensor]:
        for piece in values.detach().contiguous().split(_SLOT_BYTES // values.element_size()):
            self._message += 1
            slots = self._slots[self._message % 2].view(values.dtype)[:, : len(piece)]
            slots[self._rank].copy_(piece)
            self._flags[self._rank * _LINE_BYTES // 8] = self._message
            for other in range(self._size):
                self._wait_for(other)
            yield slots

    def _wait_for(self, other: int) -> None:
        flags, place, message = self._flags, other * _LINE_BYTES // 8, self._message
        for _ in range(_FREE_LOOKS):
            if flags[place] >= message:
                return
        start = asked = time.monotonic()
        while flags[place] < message:
            now = time.monotonic()
            time.sleep(_NAP_S if now - start > _BRIEF_S else 0)
            if now - asked > _ALIVE_EVERY_S:
                asked = now
                self._require_alive(other)

    def _require_alive(self, other: int) -> None:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, other)
        except OSError:
            return  # it holds its lock
        raise TwofoldError(
            f"process {other} has ended, and process {self._rank} waits for it. See its output and start again: "
            "the run continues from its last checkpoint."
        )


@contextmanager
def open_mailbox(path: Path, rank: int, size: int) -> Iterator[Mailbox]:
    """This process' end of the mailbox in `path`; the others must not remove the file before all have opened it."""
    file = os.open(path, os.O_RDWR)
    mailbox = Mailbox(file, rank, size)  # kept by name: if its memory were freed, so would be its lock
    try:
        yield mailbox
    finally:
        os.close(file)
