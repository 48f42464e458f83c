"""The smallest scale at which every study still has all its cells; as a program, studies in processes of their own.

python tiny_study.py DATA HOME runs in HOME, forked from one process that has imported everything:
out/NAME (every study), killed (head: killed after three cells, and run again), shared (size, by two processes) and
together (size, by the two processes of a launcher). What each process printed is in HOME/*.log; how they ended is
printed as JSON.
"""

import json
import os
import re
import signal
import sys
import time
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from forked import forked, forked_group
from twofold.programs.study import study
from twofold.studies import STUDIES
from twofold.studies.engine import measures, ranks, run
from twofold.studies.engine.scale import LAPTOP
from twofold.studies.paper import augmentations
from twofold.training import start

SEEDS = 2
TINY = replace(
    LAPTOP,
    base=LAPTOP.base.with_settings(
        size_px=16,
        encoder="resnet10",
        width=0.25,
        stages=2,
        batch_size=16,
        epochs=1.0,
        precision="fp32",
        device="cpu",
        checkpoint_minutes=60.0,
    ),
    labels=20,
    z_dims=(4, 8),
    batch_sizes=(4, 8),
    lengths=(0.5, 1.0),
    short=0.5,
    pairs=0.5,
    pretrained=1.0,
    encoders={"small": {"stages": 1}, "large": {"stages": 2}},
    fractions=(0.5, 1.0),
    tuning={"base_lr": (0.05, 0.1), "lars_lr": (0.5, 1.0), "temperature": (0.2,), "margin": (0.8,)},
    label_epochs={0.5: 1.0, 1.0: 1.0},
)
# these add cells where a rate is too high or the best at an edge
TUNED = ("loss", "batch", "size", "labels")
CELLS = {  # with two seeds; of those at least so many
    "augmentations": 49 + 7 + 2 + 2 + 2 * 3,
    "colour": 2 * 5 * 2,
    "head": (2 * 2 + 1) * 2,
    "layer": 4 * 2,
    "loss": 5 * 2 + 5 * 2,
    "temperature": 7 * 2 + 7,
    "batch": 2 * 2 + 2 * 2 * 2 * 2 + 2 * 2 * 2,
    "size": 2 * 2 * 2 + 2 * 3,
    "labels": 2 * 3 + 2 * 2 * 2,
    "duration": 3 * 2 * 2,
}
FEW = ("crop", "colour", "sobel", "noise")  # of the seven transformations: their places are all of one kind
CELLS_RUN = CELLS | {"augmentations": 4 * 4 + 4 + 2 + 2 + 2 * 3}


def run_tiny(name: str, data: Path, out: Path, cache: Path, **options: Any) -> dict[str, Any]:
    return study(name, data=data, scale=TINY, seeds=SEEDS, out=out, cache=cache, **options)


def shortcuts() -> dict[object, dict[str, Any]]:
    """By module what to put in place so that a cell takes little beyond its training, and counts as learnt.

    After a step or two none has learnt. What is only printed or looked at is not measured or made for each cell.
    """
    return {
        measures: {"learnt_accuracy": lambda candidates: 0.0, "wilson_interval": lambda share, count: (1.0, 1.0)},
        run: {"untrained_top1": lambda task, folder: -1.0, "views_per_s": lambda *arguments, **options: 1000.0},
        augmentations: {"NAMES": FEW},
        ranks: {"_PAIRS": 1},  # two views of each image are enough to see that they are measured
        start: {
            "measure_step_s": lambda *arguments, **options: 0.01,
            "show_settings": lambda title, settings: None,
            "_first_views": lambda *arguments: b"",
        },
    }


def measured_in(log: Path) -> list[str]:
    """The cells that a process said it measured."""
    return re.findall(r"^\[\d+ of \d+\] (.*?): ", log.read_text(), re.MULTILINE)


def _run(names: dict[str, Path], data: Path, home: Path, log: str) -> None:
    with (home / f"{log}.log").open("w", buffering=1) as file, redirect_stdout(file):
        for name, out in names.items():
            run_tiny(name, data, out, home / "cache")


def _code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _kill_in_the_fourth(pid: int, log: Path) -> int:
    """How it ended: in its fourth cell it is killed."""
    while not (log.exists() and len(measured_in(log)) >= 3):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    return _code(pid)


def _main(data: Path, home: Path) -> dict[str, Any]:
    def begin(log: str, names: dict[str, Path]) -> int:
        return forked(partial(_run, names, data, home, log), log)

    ended: dict[str, Any] = {"all": _code(begin("all", {name: home / "out" / name for name in STUDIES}))}
    killed = {"head": home / "killed"}
    ended["first"] = _kill_in_the_fourth(begin("first", killed), home / "first.log")
    ended["cells of the first"] = len(list((home / "killed" / "cells").glob("*.json")))
    ended["second"] = _code(begin("second", killed))
    sharing = [begin(log, {"size": home / "shared"}) for log in ("one", "other")]
    ended["sharing"] = [_code(pid) for pid in sharing]
    ended["together"] = forked_group(
        2, lambda rank: _run({"size": home / "together"}, data, home, f"together-{rank}"), one_machine=True
    )
    return ended


if __name__ == "__main__":
    for module, replaced in shortcuts().items():
        vars(module).update(replaced)
    print(json.dumps(_main(*map(Path, sys.argv[1:3]))))
