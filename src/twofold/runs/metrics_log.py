"""Where a run's numbers go: metrics.jsonl always, TensorBoard where its extra is installed."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from twofold.console import warn
from twofold.files import append_text, write_atomically
from twofold.runs.run_directory import Run

Row = dict[str, Any]


def build_log(run: Run, step: int) -> Callable[[Row], None]:
    """A function that appends a row, {"step": ..., name: number}, to the run's log from `step` on.

    Rows after `step`, which a continued run writes again, are dropped first; before step 1 all rows are. Rows that
    cannot be written, on a full disk say, do not end the run: they are written with the next one that can be.
    """
    _rewind(run, step)
    waiting: list[str] = []
    writers = [_tensorboard(run, step)] if find_spec("tensorboard") else []

    def log(row: Row) -> None:
        waiting.append(json.dumps(row) + "\n")
        try:
            append_text(run.metrics, "".join(waiting))
            waiting.clear()
        except OSError as error:
            if len(waiting) == 1:  # once for any number of failures in a row
                warn(f"cannot write to '{run.metrics}' ({error.strerror}). Its rows are kept and tried again.")
        try:
            for write in writers:
                write(row)
        except OSError as error:
            writers.clear()
            warn(f"cannot write to '{run.tensorboard}' ({error.strerror}). TensorBoard gets no more rows.")

    return log


def _rewind(run: Run, step: int) -> None:
    if not run.metrics.exists():
        return
    kept = []
    for line in run.metrics.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:  # the last line of a killed run
            continue
        if 0 < step >= row["step"]:
            kept.append(line)
    write_atomically(run.metrics, "".join(f"{line}\n" for line in kept).encode())


def _tensorboard(run: Run, step: int) -> Callable[[Row], None]:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(run.tensorboard), purge_step=step)

    def write(row: Row) -> None:
        for name, value in row.items():
            if name != "step":
                writer.add_scalar(name, value, row["step"])
        writer.flush()

    return write
