"""A stand-in for what the launcher starts: says what happens to it. Used by test_launcher.py.

Arguments: a folder, and what to do. Each process appends to FOLDER/RANK the names of the signals that reach it.
"""

import os
import signal
import sys
import time
from pathlib import Path

from twofold.distributed.process import stop_with_launcher

FOLDER, ACT, *REST = sys.argv[1:]
RANK = os.environ["RANK"]
NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")


def write(text: str) -> None:
    with Path(FOLDER, RANK).open("a") as file:
        file.write(f"{text}\n")


def wait(*, patience: int = 1, save_s: float = 0.0) -> None:
    """Until so many signals have come; then end as a run does that was stopped."""
    received: list[int] = []
    for name in NAMES:
        signal.signal(getattr(signal, name), lambda number, _frame: received.append(number))
    write(f"up {os.getpid()}")
    told = 0
    while told < patience:
        time.sleep(0.01)
        for number in received[told:]:
            told += 1
            write(signal.Signals(number).name)
    time.sleep(0.3)  # for one that comes twice
    for number in received[told:]:
        write(signal.Signals(number).name)
    time.sleep(save_s if RANK == "0" else 0)
    write("saved")
    sys.exit(128 + received[0])


stop_with_launcher()
if ACT == "wait":
    wait(patience=int(REST[0]))
elif ACT == "save":
    wait(save_s=float(REST[0]))
elif ACT == "warn":
    print(f"a warning of {RANK}", file=sys.stderr)
    wait()
elif ACT == "end":  # each process in its own way: "CODE text"
    if REST[int(RANK)] == "wait":
        wait()
    code, _, text = REST[int(RANK)].partition(" ")
    print(text.replace("|", "\n"), file=sys.stderr)
    sys.exit(int(code))
