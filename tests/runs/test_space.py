"""Room on the disk: refused, warned about or silent, by the true size of a checkpoint."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from pictures import write_pictures
from small_recipe import SMALL
from twofold.errors import TwofoldError
from twofold.runs.run_directory import Run
from twofold.runs.space import require_space
from twofold.training import agreement
from twofold.training.loop import pretrain

MIB = 2**20
Usage = namedtuple("Usage", "total used free")


def free_on_disk(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**12, 0, free))


def test_two_checkpoints_and_the_encoder_must_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free_on_disk(monkeypatch, 249 * MIB)
    words = r"has 249 MiB free for this run, but two checkpoints of 100 MiB and the encoder need 250 MiB\. Free 1 MiB"
    with pytest.raises(TwofoldError, match=words):
        require_space(Run(tmp_path), checkpoint=100 * MIB, encoder=50 * MIB)


@pytest.mark.parametrize(("free", "warned"), [(250, True), (349, True), (350, False)])
def test_without_room_for_a_third_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], free: int, warned: bool
) -> None:
    free_on_disk(monkeypatch, free * MIB)
    require_space(Run(tmp_path), checkpoint=100 * MIB, encoder=50 * MIB)
    assert ("need 350 MiB" in capsys.readouterr().out) is warned


def test_what_the_run_has_written_before_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free_on_disk(monkeypatch, MIB)
    run = Run(tmp_path)
    run.checkpoints.mkdir()
    run.encoder.write_bytes(bytes(MIB))
    for step in (1, 2):
        (run.checkpoints / f"step-{step}.pt").write_bytes(bytes(2 * MIB))
    require_space(run, checkpoint=2 * MIB, encoder=MIB)
    with pytest.raises(TwofoldError, match="has 6 MiB free for this run"):
        require_space(run, checkpoint=3 * MIB, encoder=MIB)


@pytest.mark.parametrize("optimizer", ["lars", "sgd", "adamw"])
def test_the_sizes_are_those_that_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str) -> None:
    found: list[dict[str, int]] = []
    monkeypatch.setattr(agreement, "require_space", lambda _run, **sizes: found.append(sizes))
    data = write_pictures(tmp_path / "data", per_class=20)
    recipe = SMALL.with_settings(optimizer=optimizer, base_lr=0.01, epochs=0.7, width=2.0)
    run = pretrain(data, out=tmp_path / "run", recipe=recipe, cache=tmp_path / "cache")
    (checkpoint,) = run.checkpoints.iterdir()
    assert found[0]["checkpoint"] == pytest.approx(checkpoint.stat().st_size, abs=40_000, rel=0.02)
    assert found[0]["encoder"] == pytest.approx(run.encoder.stat().st_size, abs=10_000, rel=0.02)


def test_a_run_that_cannot_fit_ends_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free_on_disk(monkeypatch, 1000)
    data = write_pictures(tmp_path / "data", per_class=20)
    with pytest.raises(TwofoldError, match="--out on another disk"):
        pretrain(data, out=tmp_path / "run", recipe=SMALL, cache=tmp_path / "cache")
    assert not (tmp_path / "run" / "recipe.json").exists()
    assert not (tmp_path / "cache").exists()
