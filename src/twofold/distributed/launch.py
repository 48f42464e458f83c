"""Several processes of one command on this machine: what `--processes K` does, torchrun's short form."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO

from twofold.errors import TwofoldError

_OWN_WORDS = "twofold: "  # how an expected failure begins
_GRACE_S = 10.0  # for the others to end, after one has failed
_LOOK_EVERY_S = 0.05


def launch(arguments: Sequence[str], processes: int) -> int:
    """Run `python -m twofold ARGUMENTS` K times as one group, wait for all, return the exit code.

    Each process gets its share of the cores as threads unless OMP_NUM_THREADS says otherwise. If one fails, the others
    are stopped, and what it wrote to stderr is shown: one process' words, not all of them.
    """
    if processes < 1:
        raise TwofoldError(f"processes is {processes}, but it must be at least 1. Change --processes.")
    before = signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C reaches the whole group, and each of it saves
    try:
        with ExitStack() as stack:
            errors = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(processes)]
            return _run(arguments, errors)
    finally:
        signal.signal(signal.SIGINT, before)


def _run(arguments: Sequence[str], errors: Sequence[IO[str]]) -> int:
    port = free_port()
    group = [_start(arguments, rank, len(errors), port, error) for rank, error in enumerate(errors)]

    def pass_on(*_: object) -> None:
        for process in group:
            process.terminate()

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        first = _wait(group)
    finally:
        signal.signal(signal.SIGTERM, before)
    texts = []
    for error in errors:
        error.seek(0)
        texts.append(error.read())
    return 0 if first is None else _tell([process.returncode for process in group], texts, first)


def _wait(group: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """Wait for all; the first that failed, or None. Once one has failed, the others get a while and are then killed."""
    first, deadline = None, float("inf")
    while True:
        running = any(process.poll() is None for process in group)
        failed = [rank for rank, process in enumerate(group) if process.returncode]
        if first is None and failed:
            first = min(failed, key=lambda rank: group[rank].returncode)  # killed before told to stop
            deadline = time.monotonic() + _GRACE_S
        if not running:
            return first
        if time.monotonic() > deadline:
            for process in group:
                process.kill()
        time.sleep(_LOOK_EVERY_S)


def _tell(codes: Sequence[int], texts: Sequence[str], first: int) -> int:
    expected = [rank for rank, text in enumerate(texts) if codes[rank] and text.startswith(_OWN_WORDS)]
    rank = first if codes[first] < 0 or first in expected or not expected else expected[0]
    if codes[rank] < 0:
        name = signal.Signals(-codes[rank]).name
        text = f"{_OWN_WORDS}process {rank} was ended by {name}, so all stopped. The same command continues.\n"
        sys.stderr.write(text)
        return 128 - codes[rank]
    sys.stderr.write(texts[rank])
    return codes[rank]


def _start(arguments: Sequence[str], rank: int, processes: int, port: int, error: IO[str]) -> subprocess.Popen[bytes]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    environment = (
        {"OMP_NUM_THREADS": str(max(1, cores // processes))}
        | os.environ
        | {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(processes),
            "LOCAL_WORLD_SIZE": str(processes),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
    )
    return subprocess.Popen([sys.executable, "-m", "twofold", *arguments], env=environment, stderr=error)


def free_port() -> int:
    """A port of this machine that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
