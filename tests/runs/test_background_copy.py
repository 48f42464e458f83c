"""Checkpoints on a mounted bucket: it renames nothing, is slow, fails now and then, and training never waits for it."""

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import safetensors.torch
import torch

from pictures import write_pictures
from small_recipe import SMALL
from twofold import console
from twofold.runs.checkpoint import Saver, load_checkpoint, local_folder
from twofold.runs.run_directory import Run, write_recipe
from twofold.training import step as training_step
from twofold.training.loop import pretrain


def state(step: int) -> dict[str, Any]:
    return {"step": step, "weights": torch.full((100,), float(step))}


def steps_in(folder: Path) -> list[int]:
    return sorted(int(path.name[5:14]) for path in folder.glob("step-*.pt"))


class Bucket:
    """A folder whose file system renames nothing; `opens` may wait or fail before a file is written there."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.opens: Callable[[Path], None] = lambda _path: None
        replace, opened = Path.replace, Path.open

        def renamed(path: Path, target: Path) -> Path:
            if self.holds(path):
                raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(path))
            return replace(path, target)

        def open_file(path: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
            if self.holds(path) and mode == "xb":
                self.opens(path)
            return opened(path, mode, *rest, **options)

        monkeypatch.setattr(Path, "replace", renamed)
        monkeypatch.setattr(Path, "open", open_file)

    def holds(self, path: Path) -> bool:
        return self.folder in path.parents


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    return Bucket(tmp_path / "bucket", monkeypatch)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(console.console, "print", lambda text, **_: lines.append(str(text)))
    return lines


def test_the_two_newest_are_in_both_places(bucket: Bucket, tmp_path: Path) -> None:
    saver = Saver(bucket.folder, tmp_path / "local")
    for step in (1, 2, 3):
        saver.save(step, state(step))
    saver.finish()
    assert saver.error is None
    assert steps_in(tmp_path / "local") == [2, 3]
    assert 3 in steps_in(bucket.folder)
    assert len(steps_in(bucket.folder)) <= 2
    loaded = load_checkpoint(bucket.folder)
    assert loaded is not None
    assert torch.equal(loaded["weights"], state(3)["weights"])


def test_a_slow_bucket_holds_nothing_up_and_the_last_one_is_waited_for(bucket: Bucket, tmp_path: Path) -> None:
    begun, go_on = Event(), Event()

    def slow(_path: Path) -> None:
        begun.set()
        assert go_on.wait(20)

    bucket.opens = slow
    saver = Saver(bucket.folder, tmp_path / "local")
    saver.save(1, state(1))
    assert begun.wait(20)
    for step in (2, 3, 4):
        saver.save(step, state(step))
    assert steps_in(bucket.folder) == [], "nothing is there yet, and nobody has waited"
    go_on.set()
    saver.finish()
    assert steps_in(bucket.folder) == [1, 4], "of those that waited the newest alone is copied"


def test_a_failed_copy_is_said_once_and_the_next_one_tried(bucket: Bucket, tmp_path: Path, said: list[str]) -> None:
    def fails(path: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    saver = Saver(bucket.folder, tmp_path / "local")
    for step in range(1, 7):
        bucket.opens = fails if step < 4 else lambda _path: None
        saver.save(step, state(step))
        saver._copies._next.result()  # type: ignore[union-attr]
    saver.finish()
    assert saver.error is None
    assert steps_in(bucket.folder) == [5, 6]
    warnings = [line for line in said if "cannot be copied (Input/output error)" in line]
    assert len(warnings) == 1
    assert f"it is kept in '{tmp_path / 'local'}'" in warnings[0]
    assert [line for line in said if "can be copied again" in line]


def test_a_last_copy_that_fails_is_an_error(bucket: Bucket, tmp_path: Path) -> None:
    def fails(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    bucket.opens = fails
    saver = Saver(bucket.folder, tmp_path / "local")
    saver.save(7, state(7))
    saver.finish()
    assert "cannot be written (No space left on device); that of step 7 is kept in" in saver.describe()

    bucket.opens = lambda _path: None
    again = Saver(bucket.folder, tmp_path / "local")  # the same command
    again.finish()
    assert steps_in(bucket.folder) == [7]


def test_what_a_kill_left_of_a_copy_is_passed_over_and_written_anew(bucket: Bucket, tmp_path: Path) -> None:
    local = tmp_path / "local"
    saver = Saver(bucket.folder, local)
    for step in (1, 2):
        saver.save(step, state(step))
        saver._copies._next.result()  # type: ignore[union-attr]
    saver.finish()
    newest = max(bucket.folder.glob("step-*.pt"))
    newest.write_bytes(newest.read_bytes()[:100])
    loaded = load_checkpoint(bucket.folder)
    assert loaded is not None
    assert loaded["step"] == 1, "another machine, without the local folder"
    loaded = load_checkpoint(local, bucket.folder)
    assert loaded is not None
    assert loaded["step"] == 2, "the same machine"


@pytest.mark.parametrize(("in_bucket", "on_disk", "newest"), [(5, 3, 5), (3, 5, 5), (4, None, 4), (None, 4, 4)])
def test_whichever_is_newest_is_gone_on_with(
    tmp_path: Path, in_bucket: int | None, on_disk: int | None, newest: int
) -> None:
    for folder, step in ((tmp_path / "bucket", in_bucket), (tmp_path / "local", on_disk)):
        if step is not None:
            Saver(folder).save(step, state(step))
    loaded = load_checkpoint(tmp_path / "local", tmp_path / "bucket")
    assert loaded is not None
    assert loaded["step"] == newest


def started(folder: Path, through: Path | None, **record: Any) -> Run:
    run = Run(folder, through)
    about = {"started": "2026-11-26T10:00:00", "recipe": SMALL.to_dict()}
    needed = {"plan": {"steps": 1}, "derived": {}, "data": {"fingerprint": ""}}
    run.folder.mkdir(parents=True, exist_ok=True)
    write_recipe(run, {**about, **needed, **record})
    return run


def test_another_run_has_another_local_folder(tmp_path: Path) -> None:
    home, through = tmp_path / "r50", tmp_path / "local"
    assert local_folder(started(home, None)) is None
    one = local_folder(started(home, through))
    assert one is not None
    assert one.parent == through
    assert one == local_folder(started(home, through, continued=[{"step": 3}]))
    others = [
        local_folder(started(tmp_path / "other" / "r50", through)),
        local_folder(started(home, through, started="2026-11-26T10:00:01")),
        local_folder(started(home, through, recipe=SMALL.with_settings(seed=7).to_dict())),
    ]
    assert len({one, *others}) == 4


def test_a_run_on_a_bucket_continues_on_another_machine_and_on_the_same(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole of a run there: nothing is renamed, and each checkpoint comes by its copy."""
    data, out = write_pictures(tmp_path / "data", per_class=12), bucket.folder / "run"
    recipe = SMALL.with_settings(epochs=2.2, checkpoint_minutes=0.0)

    def trained(where: Path, through: Path | None, last: int | None = None) -> Run:
        taken = training_step.learn

        def learn(state: Any, *rest: Any, **more: Any) -> Any:
            if state.step == last and more["key"] is not None and state.optimizer.param_groups[0]["lr"] > 1e-6:
                os.kill(os.getpid(), signal.SIGTERM)
            return taken(state, *rest, **more)

        with monkeypatch.context() as patch:
            patch.setattr(training_step, "learn", learn)
            return pretrain(data, out=where, recipe=recipe, cache=tmp_path / "cache", checkpoint_through=through)

    whole = trained(tmp_path / "whole", None)
    with pytest.raises(SystemExit):
        trained(out, tmp_path / "first", last=1)
    run = Run(out, tmp_path / "first")
    local = local_folder(run)
    assert local is not None
    assert steps_in(run.checkpoints)[-1] == steps_in(local)[-1] == 2, "the last copy was waited for"
    with pytest.raises(SystemExit):
        trained(out, tmp_path / "second", last=2)  # another machine
    done = trained(out, tmp_path / "second")
    assert steps_in(done.checkpoints)[-1] == done.read_recipe()["steps"]
    weights = [safetensors.torch.load_file(one.encoder) for one in (whole, done)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
