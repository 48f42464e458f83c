"""Several processes of one command on this machine: what `--processes K` does.

torchrun would do, but when it is killed its workers go on, it drops SIGUSR1, ends in a traceback on Ctrl-C, and shows
one failure K times (docs/notebook.md).
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from twofold.distributed.process import RENDEZVOUS
from twofold.distributed.voice import Voice, says_why, show
from twofold.errors import TwofoldError

_GRACE_S = 10.0  # for the others to end, after one has failed
_LOOK_EVERY_S = 0.05
_OWN_SESSION = os.name == "posix"  # there a terminal's Ctrl-C reaches the launcher alone
_PAUSE = getattr(signal, "SIGTSTP", None)  # Ctrl-Z
_PASSED_ON = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGTSTP")


def launch(arguments: Sequence[str], processes: int, *, program: Sequence[str] = ("-m", "twofold")) -> int:
    """Run `python PROGRAM ARGUMENTS` K times as one group, wait for all, return the exit code.

    Each process gets its share of the cores as threads unless OMP_NUM_THREADS says otherwise. Signals are passed on,
    each once. If one process fails, the others are stopped, and one error is shown, not all of them. Should the
    launcher be killed, the processes save and stop. Raises TwofoldError for less than one process.
    """
    if processes < 1:
        raise TwofoldError(f"processes is {processes}, but it must be at least 1. Change --processes.")
    with _caught() as received, tempfile.TemporaryDirectory(prefix="twofold-", ignore_cleanup_errors=True) as folder:
        meeting = Path(folder, "rendezvous").as_uri()  # a file: a port could be taken before it is used
        command = [sys.executable, *program, *arguments]
        group = [_start(command, rank, processes, meeting) for rank in range(processes)]
        voices = [Voice(p.stderr, f"[process {rank}] " if rank else "") for rank, p in enumerate(group) if p.stderr]
        first = _wait(group, voices, received)
        for process in group:
            if process.stdin:
                process.stdin.close()
        return _tell([process.returncode for process in group], [voice.last_words() for voice in voices], first)


@contextmanager
def _caught() -> Iterator[list[int]]:
    """The signals that come, in their order."""
    received: list[int] = []
    numbers = [getattr(signal, name) for name in _PASSED_ON if hasattr(signal, name)]
    before = {number: signal.signal(number, lambda number, _frame: received.append(number)) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(command: Sequence[str], rank: int, processes: int, meeting: str) -> subprocess.Popen[bytes]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    environment = (
        {"OMP_NUM_THREADS": str(max(1, cores // processes))}
        | os.environ
        | {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(processes),
            "LOCAL_WORLD_SIZE": str(processes),
            RENDEZVOUS: meeting,
        }
    )
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,  # never written to: its end tells the process that the launcher is gone
        stderr=subprocess.PIPE,
        start_new_session=_OWN_SESSION,
    )


def _wait(group: Sequence[subprocess.Popen[bytes]], voices: Sequence[Voice], received: list[int]) -> int | None:
    """Wait for all; the first that failed, or None. Once one has failed, the others get a while and are then killed.

    One that a signal stopped has not failed: the others stop too, as long as it takes them to save.
    """
    first, deadline = None, float("inf")
    while True:
        while received:
            _pass_on(received.pop(0), group)
        codes = [process.poll() for process in group]
        ended = [rank for rank, code in enumerate(codes) if code]
        failed = [rank for rank in ended if group[rank].returncode <= 128]
        if failed and deadline == float("inf"):
            first = min(failed, key=lambda rank: group[rank].returncode)  # killed before told to stop
            deadline = time.monotonic() + _GRACE_S
        if None not in codes:
            return ended[0] if first is None and ended else first
        if time.monotonic() > deadline:
            for process in group:
                process.kill()
        for voice in voices:
            voice.release()
        time.sleep(_LOOK_EVERY_S)


def _pass_on(number: int, group: Sequence[subprocess.Popen[bytes]]) -> None:
    if number == _PAUSE:
        _send(signal.SIGSTOP, group)
        signal.raise_signal(signal.SIGSTOP)
        _send(signal.SIGCONT, group)
    elif _OWN_SESSION or number != signal.SIGINT:  # elsewhere Ctrl-C has reached all
        _send(number, group)


def _send(number: int, group: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in group:
        with contextlib.suppress(OSError):  # it has ended
            process.send_signal(number)


def _tell(codes: Sequence[int], texts: Sequence[bytes], first: int | None) -> int:
    """Show the error that says most, the first one's where several do; the exit code of that process."""
    for rank, text in enumerate(texts):
        if codes[rank] == 0:
            show(text)
    if first is None:
        return 0
    if codes[first] < 0:
        name = signal.Signals(-codes[first]).name
        show(f"twofold: process {first} was ended by {name}, so all stopped. The same command continues.\n".encode())
        return 128 - codes[first]
    ended = [rank for rank, code in enumerate(codes) if code > 0]
    rank = max(ended, key=lambda rank: (says_why(texts[rank]), rank == first, -rank))
    show(texts[rank])
    return codes[rank]
