"""A whole run on small images: it learns, it is a function of its seed, it stops and goes on as it should."""

import contextlib
import json
import math
import os
import shutil
import signal
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch
from PIL import Image

from pictures import CLASSES, write_pictures
from small_recipe import SMALL
from twofold.data import ImageSet, loader
from twofold.errors import TwofoldError
from twofold.evaluation import build_knn_monitor
from twofold.losses import build as choosing
from twofold.runs.checkpoint import load_checkpoint
from twofold.runs.run_directory import Run
from twofold.speed import step_time
from twofold.training import averages, loop, progress
from twofold.training.loop import pretrain
from twofold.training.progress import ProgressLine

TINY = SMALL.with_settings(
    strength=0.5,
    crop_area=(0.3, 1.0),
    stages=2,
    z_dim=32,
    temperature=0.2,
    optimizer="sgd",
    base_lr=0.5,
    batch_size=32,
    epochs=3.0,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("data") / "pictures", per_class=50)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def calm(data: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The undisturbed run."""
    torch.manual_seed(1)
    return pretrain(data, out=tmp_path_factory.mktemp("calm") / "run", recipe=TINY, cache=cache)


@pytest.fixture
def finished(calm: Run, tmp_path: Path) -> Run:
    """A copy of it to begin again."""
    return Run(Path(shutil.copytree(calm.folder, tmp_path / "run")))


def weights(run: Run) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run.encoder)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def metrics(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.metrics.read_text().splitlines()]


def test_the_loss_falls_well_below_chance(data: Path, cache: Path, tmp_path: Path) -> None:
    run = pretrain(data, out=tmp_path / "run", recipe=TINY.with_settings(epochs=25.0), cache=cache)
    rows = [row for row in metrics(run) if "loss" in row]
    chance = torch.log(torch.tensor(2.0 * 32 - 1)).item()
    assert rows[0]["loss"] > 0.8 * chance
    assert sum(row["loss"] for row in rows[-5:]) / 5 < 0.75 * chance
    looks = [row for row in metrics(run) if "pair_accuracy" in row]
    assert [looks[0]["step"], looks[-1]["step"]] == [0, rows[-1]["step"]]


def test_wrongly_paired_views_teach_nothing(
    data: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paired = choosing.nt_xent

    def shifted(z_a: torch.Tensor, z_b: torch.Tensor, **options: Any) -> torch.Tensor:
        return paired(z_a, z_b.roll(1, dims=0), **options)

    monkeypatch.setattr(choosing, "nt_xent", shifted)
    run = pretrain(data, out=tmp_path / "run", recipe=TINY.with_settings(epochs=25.0), cache=cache)
    rows = [row for row in metrics(run) if "loss" in row]
    assert sum(row["loss"] for row in rows[-5:]) / 5 > 0.9 * torch.log(torch.tensor(63.0)).item()


def test_a_run_is_a_function_of_its_seed(data: Path, cache: Path, tmp_path: Path, calm: Run) -> None:
    torch.manual_seed(2)
    again = pretrain(data, out=tmp_path / "b", recipe=TINY, cache=cache)
    other = pretrain(data, out=tmp_path / "c", recipe=TINY.with_settings(seed=1), cache=cache)
    assert same(weights(calm), weights(again))
    assert not same(weights(calm), weights(other))


@pytest.mark.parametrize(
    ("name", "stop"),
    [("SIGINT", KeyboardInterrupt), ("SIGTERM", SystemExit), ("SIGUSR1", SystemExit), ("SIGUSR2", SystemExit)],
)
def test_a_stopped_run_continues_to_the_same_weights(
    data: Path,
    cache: Path,
    tmp_path: Path,
    calm: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    stop: type[BaseException],
) -> None:
    if not hasattr(signal, name):
        pytest.skip(f"this system has no {name}")
    number = getattr(signal, name)
    step = loop.train_step

    def step_and_stop(state: Any, *arguments: Any, **options: Any) -> Any:
        result = step(state, *arguments, **options)
        if state.step == 7:
            os.kill(os.getpid(), number)
        return result

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", step_and_stop)
        with pytest.raises(stop) as stopped:
            pretrain(data, out=tmp_path / "run", recipe=TINY, cache=cache)
    assert stopped.value.args == (() if name == "SIGINT" else (128 + number,))
    assert f"Stopped by {name} and saved at step 7" in capsys.readouterr().out
    saved = load_checkpoint(Run(tmp_path / "run").checkpoints)
    assert saved is not None
    assert saved["step"] == 7
    run = pretrain(data, out=tmp_path / "run", recipe=TINY, cache=cache)
    assert same(weights(calm), weights(run))
    assert [r["step"] for r in metrics(calm)] == [r["step"] for r in metrics(run)]


def test_a_finished_run_is_left_alone(data: Path, cache: Path, finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finished
    before = run.metrics.read_bytes(), weights(run)

    def never(*_arguments: Any, **_options: Any) -> None:
        raise AssertionError("no step is left")

    monkeypatch.setattr(loop, "train_step", never)
    pretrain(data, out=run.folder, recipe=TINY, cache=cache)
    assert run.metrics.read_bytes() == before[0]
    assert same(weights(run), before[1])


def test_other_settings_or_pictures_are_refused(data: Path, cache: Path, tmp_path: Path, finished: Run) -> None:
    with pytest.raises(TwofoldError, match="base_lr"):
        pretrain(data, out=finished.folder, recipe=TINY.with_settings(base_lr=0.1), cache=cache)
    others = write_pictures(tmp_path / "others", per_class=45)
    with pytest.raises(TwofoldError, match="images differ"):
        pretrain(others, out=finished.folder, recipe=TINY, cache=cache)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(
    data: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finite, calls = choosing.nt_xent, [0]

    def broken(z_a: torch.Tensor, z_b: torch.Tensor, **options: Any) -> torch.Tensor:
        calls[0] += z_a.requires_grad  # in a step, not in a look
        loss = finite(z_a, z_b, **options)
        return loss * float("nan") if calls[0] == 5 + 10 and z_a.requires_grad else loss

    monkeypatch.setattr(choosing, "nt_xent", broken)
    monkeypatch.setattr("twofold.training.start.measure_step_s", lambda *_a, **_k: calls.__setitem__(0, 5) or 0.1)
    recipe = TINY.with_settings(checkpoint_minutes=0.0)
    with pytest.raises(TwofoldError, match="at step 9 are not finite") as caught:
        pretrain(data, out=tmp_path / "run", recipe=recipe, cache=cache)
    assert "checkpoint of step 9 is untouched" in str(caught.value)
    saved = load_checkpoint(tmp_path / "run" / "checkpoints")
    assert saved is not None
    assert saved["step"] == 9
    assert all(value.isfinite().all() for value in saved["model"].values())


def test_minutes_become_steps_once_and_a_continuation_keeps_them(
    data: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = TINY.with_settings(minutes=0.021)
    monkeypatch.setattr("twofold.training.start.measure_look_s", lambda *_a: 0.0)
    monkeypatch.setattr("twofold.training.start.measure_step_s", lambda *_a, **_k: 0.1)
    run = pretrain(data, out=tmp_path / "run", recipe=recipe, cache=cache)
    assert run.read_recipe()["steps"] == 12
    monkeypatch.setattr("twofold.training.start.measure_step_s", lambda *_a, **_k: 0.001)
    pretrain(data, out=tmp_path / "run", recipe=recipe, cache=cache)
    assert run.read_recipe()["steps"] == 12


class Virtual:
    """A clock that stands still but for what costs time: a step, the first ten times as much, a read, and a look.

    Batches are read ahead as by the loader's thread: one after the other, from when they are asked for.
    """

    FIRST = 10

    def __init__(self, patch: pytest.MonkeyPatch, *, step_s: float, read_s: float, look_s: float) -> None:
        self.now, self.look_s, self.trained_s = 0.0, look_s, 0.0
        read, step, train = ImageSet.read, loop.train_step, loop.train
        clock = SimpleNamespace(monotonic=lambda: self.now, perf_counter=lambda: self.now)
        for module in (loader, step_time, loop, progress, averages):
            patch.setattr(module, "time", clock)

        def slow_read(image_set: ImageSet, rows: Any) -> Any:
            self.now += read_s
            return read(image_set, rows)

        def slow_step(state: Any, *arguments: Any, **options: Any) -> Any:
            self.now += step_s * (self.FIRST if state.step == 0 else 1)
            return step(state, *arguments, **options)

        def timed_train(*arguments: Any) -> None:
            begin = self.now
            train(*arguments)
            self.trained_s = self.now - begin

        patch.setattr(ImageSet, "read", slow_read)
        for module in (step_time, loop):
            patch.setattr(module, "train_step", slow_step)
        patch.setattr(loop, "train", timed_train)
        patch.setattr(loader, "ThreadPoolExecutor", lambda *_, **__: contextlib.nullcontext(Reader(self)))

    def monitor(self, *_: Any) -> Any:
        def look(_encoder: torch.nn.Module, _step: int) -> dict[str, float]:
            self.now += self.look_s
            return {}

        return look


class Reader:
    """In place of the loader's thread."""

    def __init__(self, virtual: Virtual) -> None:
        self._virtual, self._free = virtual, 0.0

    def submit(self, work: Any, *arguments: Any) -> Any:
        asked = self._virtual.now
        self._virtual.now = max(asked, self._free)
        done = work(*arguments)
        self._free, self._virtual.now = self._virtual.now, asked
        return Batch(self._virtual, done, self._free)


class Batch(Future[Any]):
    def __init__(self, virtual: Virtual, done: Any, ready: float) -> None:
        super().__init__()
        self.set_result(done)
        self._virtual, self._ready = virtual, ready

    def result(self, timeout: float | None = None) -> Any:
        self._virtual.now = max(self._virtual.now, self._ready)
        return super().result(timeout)


MINUTES = TINY.with_settings(stages=1, batch_size=8, minutes=1.0, monitor_share=0.25)


@pytest.mark.parametrize(
    ("step_s", "read_s"), [(0.4, 0.1), (0.1, 0.4)], ids=["computing is the limit", "reading is the limit"]
)
def test_a_run_takes_the_minutes_that_it_was_given(
    data: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_s: float, read_s: float
) -> None:
    """Its looks, the reading of its images and a slow first step included."""
    virtual = Virtual(monkeypatch, step_s=step_s, read_s=read_s, look_s=2.0)
    run = pretrain(data, out=tmp_path / "run", recipe=MINUTES, monitors=(virtual.monitor,), cache=cache)
    assert 0.85 < virtual.trained_s / 60 < 1.15
    assert "- 10 s of looks) / 0.4 s a step (measured)" in run.read_recipe()["derived"]["steps"]
    assert metrics(run)[-1]["step"] == run.read_recipe()["steps"]


def test_a_plan_by_the_first_step_would_miss_them(
    data: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    virtual = Virtual(monkeypatch, step_s=0.4, read_s=0.1, look_s=2.0)
    monkeypatch.setattr("twofold.training.start.measure_step_s", lambda *_a, **_k: 0.4 * virtual.FIRST)
    pretrain(data, out=tmp_path / "run", recipe=MINUTES, monitors=(virtual.monitor,), cache=cache)
    assert virtual.trained_s / 60 < 0.5


def test_every_step_is_shown(data: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long run logs one step in hundreds; the time left must not wait for that."""
    shown: list[int] = []
    monkeypatch.setattr(ProgressLine, "update", lambda _self, done, _text: shown.append(done))
    monkeypatch.setattr(loop, "_METRIC_ROWS", 1)
    run = pretrain(data, out=tmp_path / "run", recipe=TINY.with_settings(epochs=2.0), cache=cache)
    assert shown == list(range(1, run.read_recipe()["steps"] + 1))
    assert len([row for row in metrics(run) if "loss" in row]) == 1


def test_measuring_does_not_change_the_run(
    data: Path, cache: Path, tmp_path: Path, calm: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twofold.training.start.measure_step_s", lambda *_a, **_k: 0.1)
    unmeasured = pretrain(data, out=tmp_path / "b", recipe=TINY, cache=cache)
    assert same(weights(calm), weights(unmeasured))


def test_monitors_are_asked_and_change_nothing(data: Path, cache: Path, tmp_path: Path, calm: Run) -> None:
    asked: list[int] = []

    def build(*_arguments: Any) -> Any:
        def monitor(encoder: torch.nn.Module, step: int) -> dict[str, float]:
            assert not encoder.training
            asked.append(step)
            return {"knn_top1": 0.5}

        return monitor

    watched = pretrain(data, out=tmp_path / "b", recipe=TINY, monitors=(build, lambda *_: None), cache=cache)
    assert same(weights(calm), weights(watched))
    assert asked == [row["step"] for row in metrics(watched) if "knn_top1" in row]
    assert len(asked) >= 5
    assert asked[0] == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": "dcl", "normalize": False, "temperature": 10.0},
        {"loss": "triplet", "semi_hard": True},
        {"loss": "nt-logistic", "one_branch": True},
    ],
    ids=lambda settings: settings["loss"],
)
def test_every_loss_trains_and_is_watched_alike(
    data: Path, cache: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    run = pretrain(data, out=tmp_path / "run", recipe=TINY.with_settings(epochs=2.0, **settings), cache=cache)
    rows = [row for row in metrics(run) if "loss" in row]
    assert all(0 <= row["contrast_entropy"] <= math.log(32) + 1e-6 for row in rows)
    assert all(value.isfinite().all() for value in weights(run).values())


def test_a_run_of_an_older_version_is_continued(data: Path, cache: Path, finished: Run) -> None:
    """Its recipe.json does not hold the settings that came later."""
    run = finished
    record = json.loads(run.recipe.read_text())
    for stage, name in (("loss", "loss"), ("loss", "margin"), ("loss", "semi_hard"), ("loss", "normalize")):
        del record["recipe"][stage][name]
    del record["recipe"]["views"]["one_branch"]
    del record["recipe"]["hardware"]["deterministic"]
    run.recipe.write_text(json.dumps(record))
    pretrain(data, out=run.folder, recipe=TINY, cache=cache)
    with pytest.raises(TwofoldError, match="loss is 'dcl', but the run"):
        pretrain(data, out=run.folder, recipe=TINY.with_settings(loss="dcl"), cache=cache)
    with pytest.raises(TwofoldError, match=r"deterministic is True, but the run .* was begun with False"):
        pretrain(data, out=run.folder, recipe=TINY.with_settings(deterministic=True), cache=cache)


def test_a_deterministic_run_says_so_and_gives_the_same_weights_again(
    data: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, step, seen = TINY.with_settings(epochs=1.0, deterministic=True), loop.train_step, set[bool]()

    def watched(*arguments: Any, **options: Any) -> Any:
        seen.add(torch.are_deterministic_algorithms_enabled())
        return step(*arguments, **options)

    monkeypatch.setattr(loop, "train_step", watched)
    runs = [pretrain(data, out=tmp_path / name, recipe=recipe, cache=cache) for name in "ab"]
    assert same(*(weights(run) for run in runs))
    assert runs[0].read_recipe()["recipe"]["hardware"]["deterministic"] is True
    assert seen == {True}
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("optimizer", ["lars", "adamw"])
def test_every_optimiser_runs_and_resumes(data: Path, cache: Path, tmp_path: Path, optimizer: str) -> None:
    recipe = TINY.with_settings(optimizer=optimizer, base_lr=0.01, epochs=2.0)
    run = pretrain(data, out=tmp_path / "run", recipe=recipe, cache=cache)
    assert all(value.isfinite().all() for value in weights(run).values())


def test_a_batch_larger_than_the_data_is_refused(data: Path, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(TwofoldError, match="batch_size is 4096"):
        pretrain(data, out=tmp_path / "run", recipe=TINY.with_settings(batch_size=4096), cache=cache)


def test_the_settings_are_refused_before_anything_is_overwritten(data: Path, cache: Path, finished: Run) -> None:
    run = finished
    before = {path: path.read_bytes() for path in run.folder.iterdir() if path.is_file()}
    with pytest.raises(TwofoldError, match="size_px"):
        pretrain(data, out=run.folder, recipe=TINY.with_settings(size_px=20), cache=cache)
    assert before == {path: path.read_bytes() for path in run.folder.iterdir() if path.is_file()}


def test_a_run_inside_the_data_is_refused(data: Path, cache: Path) -> None:
    with pytest.raises(TwofoldError, match="lies inside the data"):
        pretrain(data, out=data / "run", recipe=TINY, cache=cache)


def test_train_alone_is_read_and_validation_to_watch_the_loss(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_pictures(tmp_path / "split", per_class=20, splits=("train", "test", "validation"))
    seen: dict[str, set[int]] = {"train": set(), "validation": set()}
    read = ImageSet.read

    def spy(self: ImageSet, rows: Any) -> Any:
        (split,) = {self.splits[row] for row in rows}
        seen[split].update(int(row) for row in rows)
        return read(self, rows)

    monkeypatch.setattr(ImageSet, "read", spy)
    run = pretrain(folder, out=tmp_path / "run", recipe=TINY, monitors=(build_knn_monitor,), cache=cache)
    assert {split: len(rows) for split, rows in seen.items()} == {"train": 60, "validation": 60}
    assert all(row["held_out_loss"] > 0 for row in metrics(run) if "pair_accuracy" in row)


def test_held_out_images_change_no_weight(cache: Path, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "split", per_class=20, splits=("train", "test", "validation"))
    one = pretrain(folder, out=tmp_path / "one", recipe=TINY, cache=cache)
    for path in (folder / "validation").rglob("*.png"):
        Image.new("RGB", (24, 24), "red").save(path)
    other = pretrain(folder, out=tmp_path / "other", recipe=TINY, cache=cache)
    losses = [[row["held_out_loss"] for row in metrics(run) if "held_out_loss" in row] for run in (one, other)]
    assert losses[0] != losses[1]
    assert same(weights(one), weights(other))


def test_labels_never_train(data: Path, cache: Path, tmp_path: Path) -> None:
    """The same images in the same splits, under their labels and under others: the same weights."""
    paths = sorted(data.rglob("*.png"))
    runs = []
    for name, shift in (("true", 0), ("false", 1)):
        labels = [CLASSES[(CLASSES.index(path.parent.name) + shift * number) % 3] for number, path in enumerate(paths)]
        rows = [
            f"{path},{label},{'test' if n % 5 == 0 else 'train'}"
            for n, (path, label) in enumerate(zip(paths, labels, strict=True))
        ]
        (tmp_path / f"{name}.csv").write_text("\n".join(["path,label,split", *rows]) + "\n")
        out = tmp_path / name
        runs.append(
            pretrain(
                tmp_path / f"{name}.csv",
                out=out,
                recipe=TINY.with_settings(epochs=2.0),
                monitors=(build_knn_monitor,),
                cache=cache,
                allow_outside=True,
            )
        )
    assert same(weights(runs[0]), weights(runs[1]))


def test_data_with_a_test_split_alone_are_refused(cache: Path, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "split", per_class=20, splits=("test",))
    with pytest.raises(TwofoldError, match="lie in the split test"):
        pretrain(folder, out=tmp_path / "run", recipe=TINY, cache=cache)
