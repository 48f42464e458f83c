"""A disk that is full for a while, or to the end: the run goes on, and nothing of it is lost."""

import errno
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from pictures import write_pictures
from small_recipe import SMALL
from twofold.cli import main as cli
from twofold.errors import TwofoldError
from twofold.programs import pretrain as program
from twofold.runs import metrics_log as log_module
from twofold.runs.checkpoint import load_checkpoint
from twofold.runs.run_directory import Run
from twofold.training import loop
from twofold.training.loop import pretrain

RECIPE = SMALL.with_settings(epochs=2.5, batch_size=8, checkpoint_minutes=0.0)  # 15 steps, a checkpoint after each
Full = Callable[[Callable[[int], bool]], None]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("data") / "pictures", per_class=20)


@pytest.fixture(scope="module")
def calm(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("calm")
    return pretrain(data, out=folder / "run", recipe=RECIPE, cache=folder / "cache")


@pytest.fixture
def full_at(monkeypatch: pytest.MonkeyPatch) -> Full:
    """A function that fills the disk whenever its condition on the step holds."""
    sync, append, step = os.fsync, log_module.append_text, loop.train_step
    now = [0]

    def prepare(is_full: Callable[[int], bool]) -> None:
        def step_and_count(state: Any, *arguments: Any, **options: Any) -> Any:
            result = step(state, *arguments, **options)
            now[0] = state.step
            return result

        def fsync(handle: int) -> None:
            if is_full(now[0]):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            sync(handle)

        def append_text(path: Path, text: str) -> None:
            if is_full(now[0]):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            append(path, text)

        now[0] = 0
        monkeypatch.setattr(loop, "train_step", step_and_count)
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(log_module, "append_text", append_text)

    return prepare


def weights(run: Run) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run.encoder)


def require_same_end(run: Run, calm: Run) -> None:
    a, b = weights(run), weights(calm)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    steps = [[json.loads(line)["step"] for line in one.metrics.read_text().splitlines()] for one in (run, calm)]
    assert steps[0] == steps[1]


def test_full_for_a_while_changes_nothing(
    data: Path, tmp_path: Path, calm: Run, full_at: Full, capsys: pytest.CaptureFixture[str]
) -> None:
    full_at(lambda step: 4 <= step < 12)
    run = pretrain(data, out=tmp_path / "run", recipe=RECIPE, cache=tmp_path / "cache")
    require_same_end(run, calm)
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("Warning: the checkpoint") == said.count("Warning: cannot write to") == 1
    assert "No space left on device); that of step 3 is kept" in said
    assert "Checkpoints can be written again: that of step 12 is." in said


def test_full_at_the_end_is_an_error_and_the_same_command_continues(
    data: Path, tmp_path: Path, calm: Run, full_at: Full, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_at(lambda step: step >= 10)
    with pytest.raises(TwofoldError, match=r"checkpoint '.*step-000000015-.*No space left .*step 9 is kept.*continues"):
        pretrain(data, out=tmp_path / "run", recipe=RECIPE, cache=tmp_path / "cache")
    saved = load_checkpoint(tmp_path / "run" / "checkpoints")
    assert saved is not None
    assert saved["step"] == 9
    assert not (tmp_path / "run" / "encoder.safetensors").exists()
    full_at(lambda step: False)
    require_same_end(pretrain(data, out=tmp_path / "run", recipe=RECIPE, cache=tmp_path / "cache"), calm)


def test_stopped_on_a_full_disk_it_says_what_is_kept(
    data: Path, tmp_path: Path, full_at: Full, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def is_full(step: int) -> bool:
        if step == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return step >= 6

    full_at(is_full)
    with pytest.raises(SystemExit) as stop:
        pretrain(data, out=tmp_path / "run", recipe=RECIPE, cache=tmp_path / "cache")
    assert stop.value.code == 128 + signal.SIGTERM
    said = " ".join(capsys.readouterr().out.split())
    assert "Stopped by SIGTERM at step 7 of 15, but the checkpoint" in said
    assert "that of step 5 is kept" in said
    assert "saved at step" not in said


def test_a_report_that_cannot_be_written_is_one_line_and_the_run_is_whole(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, sync, save = [False], os.fsync, loop.save_encoder

    def save_and_fill(*arguments: Any) -> None:
        save(*arguments)
        full[0] = True

    def fsync(handle: int) -> None:
        if full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    monkeypatch.setattr(loop, "save_encoder", save_and_fill)
    monkeypatch.setattr(os, "fsync", fsync)
    out = tmp_path / "run"

    def again(*_: Any, **__: Any) -> None:
        program.pretrain(data, out=out, recipe=RECIPE, cache=tmp_path / "cache")

    monkeypatch.setattr(cli, "parse", lambda _arguments, _commands: again)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert "No space left on device" in str(stop.value)
    assert str(out) in str(stop.value)
    assert "\n" not in str(stop.value)
    assert Run(out).encoder.exists()
    full[0] = False
    monkeypatch.setattr(loop, "save_encoder", save)
    again()
    assert (out / "report.html").exists()
