"""Checkpoints: the newest whole one wins, whatever else lies in the folder."""

import errno
import os
from pathlib import Path

import pytest
import torch

from twofold import files
from twofold.runs.checkpoint import Saver, load_checkpoint, save_checkpoint


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


class Disk:
    """The disk under a folder: how many checkpoints it holds, one being written among them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = 100
        sync = os.fsync

        def fsync(handle: int) -> None:
            if len(list(folder.iterdir())) > self.room:
                raise OSError(errno.ENOSPC, "No space left on device")
            sync(handle)

        monkeypatch.setattr(os, "fsync", fsync)


def steps(folder: Path) -> list[int]:
    return sorted(int(path.name.split("-")[1]) for path in folder.glob("step-*"))


def test_the_older_of_two_makes_room_for_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(tmp_path, monkeypatch)
    disk.room = 2
    for step in range(1, 6):
        save(tmp_path, step)
    assert steps(tmp_path) == [4, 5]


def test_nothing_is_given_up_for_a_checkpoint_that_does_not_fit_or_beside_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path, monkeypatch)
    save(tmp_path, 1)
    newest = save(tmp_path, 2)
    disk.room = 0
    newest.write_bytes(newest.read_bytes()[:-1])
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, 3)
    assert steps(tmp_path) == [1, 2]
    disk.room = 2
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, 3)
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert loaded["step"] == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_checkpoint_that_cannot_be_written_is_said_once_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    saver, state = Saver(tmp_path), {"weights": torch.zeros(3)}
    saver.save(1, state)
    assert saver.error is None
    with monkeypatch.context() as patch:

        def fail(_handle: int) -> None:
            raise OSError(number, os.strerror(number))

        patch.setattr(os, "fsync", fail)
        for step in (2, 3, 4):
            saver.save(step, state)
            assert saver.error is not None
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("Warning") == 1
    assert os.strerror(number) in said
    assert str(tmp_path / "step-000000002-") in said
    assert "that of step 1 is kept" in said
    assert steps(tmp_path) == [1]
    saver.save(5, state)
    assert saver.error is None
    assert "that of step 5 is" in capsys.readouterr().out
    assert steps(tmp_path) == [1, 5]
