"""The log of a run: rewound on continuation, and to TensorBoard where that is installed."""

import errno
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from twofold.runs import metrics_log as log_module
from twofold.runs.metrics_log import build_log
from twofold.runs.run_directory import Run


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


def test_rows_that_cannot_be_written_are_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, append = Run(tmp_path), log_module.append_text
    log = build_log(run, 0)

    def full(path: Path, _text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    for step in range(6):
        monkeypatch.setattr(log_module, "append_text", full if 2 <= step < 5 else append)
        log({"step": step})
    assert [json.loads(line) for line in run.metrics.read_text().splitlines()] == [{"step": n} for n in range(6)]
    said = capsys.readouterr().out
    assert said.count("Warning") == 1
    assert "No space left on device" in said
    assert run.metrics.name in said
    log({"step": 6})
    assert len(run.metrics.read_text().splitlines()) == 7
    assert capsys.readouterr().out == ""


def test_tensorboard_is_given_up_where_its_file_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[int] = []

    def write(row: dict[str, int]) -> None:
        calls.append(row["step"])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(log_module, "find_spec", lambda _name: True)
    monkeypatch.setattr(log_module, "_tensorboard", lambda *_: write)
    log = build_log(Run(tmp_path), 0)
    for step in range(3):
        log({"step": step})
    assert calls == [0]
    assert len(Run(tmp_path).metrics.read_text().splitlines()) == 3
    assert capsys.readouterr().out.count("TensorBoard gets no more rows") == 1
