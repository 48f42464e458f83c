"""The log of a run: rewound on continuation, and to TensorBoard where that is installed."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from twofold.runtime import log as log_module
from twofold.runtime.log import build_log
from twofold.runtime.record import Run


def lines(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.metrics.read_text().splitlines()]


def test_a_continued_log_drops_later_lines_and_a_torn_one(tmp_path: Path) -> None:
    run = Run(tmp_path)
    log = build_log(run, 0)
    for step in (0, 1, 2, 3):
        log({"step": step})
    with run.metrics.open("a") as file:
        file.write('{"step": 4, "lo')
    build_log(run, 2)({"step": 3, "again": True})
    assert lines(run) == [{"step": 0}, {"step": 1}, {"step": 2}, {"step": 3, "again": True}]


def test_a_run_that_never_saved_begins_its_log_anew(tmp_path: Path) -> None:
    run = Run(tmp_path)
    build_log(run, 0)({"step": 0, "first": True})
    build_log(run, 0)({"step": 0})
    assert lines(run) == [{"step": 0}]


def test_tensorboard_gets_every_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, float, int]] = []

    class Writer:
        def __init__(self, folder: str, purge_step: int) -> None:
            assert (folder, purge_step) == (str(tmp_path / "tensorboard"), 2)

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, value, step))

        def flush(self) -> None:
            pass

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setattr(log_module, "find_spec", lambda name: SimpleNamespace(name=name))
    build_log(Run(tmp_path), 2)({"step": 3, "loss": 1.5, "lr": 0.1})
    assert written == [("loss", 1.5, 3), ("lr", 0.1, 3)]
