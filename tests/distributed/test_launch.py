"""Whole runs on several processes, as people start them: the weights of one process, one voice, and survival."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from small_recipe import SMALL
from twofold.cli import main as cli
from twofold.data import Loader, load_images
from twofold.distributed import World
from twofold.hardware.device import Hardware
from twofold.recipes.recipe import Recipe
from twofold.runs.run_directory import Run
from twofold.training.loop import pretrain
from twofold.training.step import build_state

TINY = SMALL.with_settings(
    stages=2,
    zero_init=False,
    z_dim=16,
    temperature=0.2,
    optimizer="lars",
    base_lr=3e-4,  # small: where rounding flips a ReLU, two runs part by about the learning rate
    lr_scaling="none",
    trust_coefficient=1.0,
    batch_size=24,
    chunk=12,
    epochs=8.0,
    checkpoint_minutes=0.0,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "pictures"  # noise: in flat areas a thousand ReLUs would flip at once
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(100):
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(folder / f"{i:03}.png")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def calm(data: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The undisturbed run of one process."""
    return pretrain(data, out=tmp_path_factory.mktemp("calm") / "run", recipe=TINY, cache=cache)


def command(data: Path, out: Path, cache: Path, recipe: Recipe = TINY) -> list[str]:
    saved = out.parent / f"{out.name}.json"
    saved.write_text(json.dumps(recipe.to_dict()))
    return ["pretrain", str(data), "--out", str(out), "--recipe", str(saved), "--cache", str(cache)]


def start(arguments: list[str], *, torchrun: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    how = ["-m", "torch.distributed.run", *torchrun, "-m", "twofold"] if torchrun else ["-m", "twofold"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *how, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def wait_for_checkpoint(process: subprocess.Popen[str], out: Path) -> None:
    while not list(out.glob("checkpoints/step-*.pt")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def children_of(pid: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(status.parent.name))
    return sorted(found)


def require_same_weights(one: Run, other: Run) -> None:
    a, b = (safetensors.torch.load_file(run.encoder) for run in (one, other))
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-4, atol=1e-4)


def test_the_weights_move_far_beyond_the_tolerance(calm: Run) -> None:
    before = build_state(
        TINY, Hardware(torch.device("cpu"), "fp32"), peak=1.0, world=World()
    ).model.encoder.state_dict()
    after = safetensors.torch.load_file(calm.encoder)
    moved = {name: float((after[name] - before[name]).abs().max()) for name in after if name.endswith("weight")}
    assert min(moved.values()) > 1e-3, moved


def test_two_processes_write_one_run_with_the_weights_of_one(
    data: Path, cache: Path, tmp_path: Path, calm: Run
) -> None:
    process = start([*command(data, tmp_path / "run", cache), "--processes", "2"])
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    run = Run(tmp_path / "run")
    require_same_weights(calm, run)
    assert "2 x 12 images: negatives, gradients and batch norm over all processes" in " ".join(out.split())
    assert out.count("Encoder: ") == 1
    steps = [[json.loads(line)["step"] for line in one.metrics.read_text().splitlines()] for one in (calm, run)]
    assert steps[0] == steps[1]


def test_a_killed_worker_is_restarted_and_the_run_ends_undisturbed(
    data: Path, cache: Path, tmp_path: Path, calm: Run
) -> None:
    out = tmp_path / "run"
    torchrun = ("--standalone", "--nproc-per-node=2", "--max-restarts=1", "--monitor-interval=0.1")
    process = start(command(data, out, cache), torchrun=torchrun)
    wait_for_checkpoint(process, out)
    os.kill(children_of(process.pid)[-1], signal.SIGKILL)
    said, err = process.communicate()
    assert process.returncode == 0, err
    assert "Continuing at step" in said
    require_same_weights(calm, Run(out))


def test_a_run_of_two_processes_is_continued_by_one(data: Path, cache: Path, tmp_path: Path, calm: Run) -> None:
    out = tmp_path / "run"
    process = start([*command(data, out, cache), "--processes", "2"])
    wait_for_checkpoint(process, out)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate()
    assert process.returncode == 143
    assert "Stopped by SIGTERM and saved at step" in said
    assert not Run(out).encoder.exists()
    pretrain(data, out=out, recipe=TINY, cache=cache)
    require_same_weights(calm, Run(out))


def test_a_killed_process_ends_the_group_with_one_line(data: Path, cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start([*command(data, out, cache), "--processes", "2"])
    wait_for_checkpoint(process, out)
    os.kill(children_of(process.pid)[-1], signal.SIGKILL)
    _, err = process.communicate()
    assert process.returncode == 128 + signal.SIGKILL
    assert err == "twofold: process 1 was ended by SIGKILL, so all stopped. The same command continues.\n"


def test_no_process_at_all_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["pretrain", str(tmp_path), "--out", str(tmp_path / "run"), "--processes", "0"]
    monkeypatch.setattr(sys, "argv", ["twofold", *words])
    with pytest.raises(SystemExit, match=r"^twofold: processes is 0, but it must be at least 1\."):
        cli.main()


def test_the_pictures_of_a_step_do_not_depend_on_the_processes(data: Path, cache: Path) -> None:
    images = load_images(data, recipe=TINY.data, store_px=TINY.stored_px, cache=cache)
    rows = images.rows("train")
    whole = next(iter(Loader(images, rows, batch_size=24, seed=0, last_step=1)))
    for rank in range(2):
        share = World(rank=rank, size=2).share(24, 12)
        own = next(iter(Loader(images, rows, batch_size=24, seed=0, last_step=1, positions=share.positions.numpy())))
        assert torch.equal(own.images, whole.images[share.positions])
