"""Runs evaluations and transfers again and again, killed each time, then undisturbed. Used by test_kill_evaluation.py.

The parent imports everything and runs nothing, so that forked children start at once and with fresh thread pools.
Argument: a JSON list of [program, options, plans]. A call is killed by its plan: "lines:3" when its third line on a
finished measurement was read, "write:PART:2" halfway through its second write of a file with PART in its name. Each
call's output goes to stdout after a line "--- PLAN", the last one of a program being "--- calm".
"""

import json
import os
import signal
import stat
import sys
from pathlib import Path
from typing import Any

import scipy.optimize  # noqa: F401  # what probes and reports need, here once and not in every child
import sklearn.manifold  # noqa: F401

from forked import forked
from twofold import files
from twofold.programs.evaluate import evaluate
from twofold.programs.transfer import transfer

PROGRAMS = {"evaluate": evaluate, "transfer": transfer}


def die_in_write(part: str, number: int) -> None:
    whole_sync, name, names, seen = os.fsync, files.unused_name, [""], [0]

    def remember(folder: Path, prefix: str, suffix: str = "") -> Path:
        names[0] = prefix
        return name(folder, prefix, suffix)

    def sync_or_die(handle: int) -> None:
        status = os.fstat(handle)
        if stat.S_ISREG(status.st_mode) and part in names[0]:
            seen[0] += 1
            if seen[0] == number:
                os.ftruncate(handle, status.st_size // 2)  # the disk had taken half of it
                os.kill(os.getpid(), signal.SIGKILL)
        whole_sync(handle)

    files.unused_name, files.os.fsync = remember, sync_or_die


def child(program: str, options: dict[str, Any], plan: str) -> tuple[int, int]:
    """(pid, a handle to read its output from)."""
    reading, writing = os.pipe()

    def work() -> None:
        os.dup2(writing, 1)
        if plan.startswith("write:"):
            _, part, number = plan.split(":")
            die_in_write(part, int(number))
        PROGRAMS[program](**options)

    pid = forked(work)
    os.close(writing)
    return pid, reading


def run(program: str, options: dict[str, Any], plan: str) -> int:
    print(f"--- {plan}", flush=True)
    pid, reading = child(program, options, plan)
    lines = 0
    with os.fdopen(reading, encoding="utf-8") as output:
        for line in output:
            print(line, end="", flush=True)
            lines += line.startswith("[")
            if plan == f"lines:{lines}":
                os.kill(pid, signal.SIGKILL)
                plan = "killed"
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def main() -> None:
    for program, options, plans in json.loads(sys.argv[1]):
        for plan in [*plans, "calm"]:
            wanted = 0 if plan == "calm" else -signal.SIGKILL
            if (code := run(program, options, plan)) != wanted:
                sys.exit(f"'{plan}' of {program} ended with {code}, not {wanted}")


main()
