"""Checkpoints: the newest whole one wins, whatever else lies in the folder."""

import os
from pathlib import Path

import pytest
import torch

from twofold import files
from twofold.runtime.checkpoint import load_checkpoint, save_checkpoint


def save(folder: Path, step: int) -> Path:
    return save_checkpoint(folder, step, {"step": step, "weights": torch.full((100,), float(step))})


def test_round_trip_keeps_values_and_the_two_newest(tmp_path: Path) -> None:
    for step in (1, 5, 20):
        save(tmp_path, step)
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert loaded["step"] == 20
    assert torch.equal(loaded["weights"], torch.full((100,), 20.0))
    assert len(list(tmp_path.iterdir())) == 2


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None
    assert load_checkpoint(tmp_path / "missing") is None


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_file_is_passed_over(tmp_path: Path, damage: str) -> None:
    save(tmp_path, 1)
    newest = save(tmp_path, 2)
    content = bytearray(newest.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flip":
        content[len(content) // 2] ^= 1
    else:
        content.clear()
    newest.write_bytes(bytes(content))
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert loaded["step"] == 1


def test_a_failing_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 1)

    def full_disk(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, 2)
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert loaded["step"] == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_the_temporary_file_lies_in_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = []
    replace = Path.replace

    def spy(self: Path, target: Path) -> Path:
        folders.append((self.parent, Path(target).parent))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", spy)
    files.write_atomically(tmp_path / "a.bin", b"x")
    assert folders == [(tmp_path, tmp_path)]


def test_only_the_unfinished_files_of_checkpoints_go(tmp_path: Path) -> None:
    own, unfinished = tmp_path / ".notes.tmp", tmp_path / ".step-000000001-0123456789abcdef.pt.ab12.tmp"
    for path in (own, unfinished):
        path.write_bytes(b"x")
    save(tmp_path, 1)
    assert own.exists()
    assert not unfinished.exists()
