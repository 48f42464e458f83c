"""Locks between processes, and what is done where a file system has none."""

import errno
import fcntl
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pictures import write_pictures
from twofold.data import load_images
from twofold.data.cache import BUILDING, building_folder, clean
from twofold.errors import TwofoldError
from twofold.files import Claim, claim
from twofold.recipes.recipe import DataRecipe
from twofold.runs.run_directory import open_run
from twofold.studies.engine.cell import Cell
from twofold.studies.engine.folder import StudyFolder, alone, claimed

HOLD = """
import sys
from pathlib import Path
from twofold.files import claim
with claim(Path(sys.argv[1])) as held:
    print(held.name, flush=True)
    sys.stdin.readline()
"""


def holder(path: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "HELD\n"
    return process


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with holder(tmp_path / "lock") as other:
        with claim(tmp_path / "lock") as held:
            assert held is Claim.TAKEN
        other.communicate("\n")
    with claim(tmp_path / "lock") as held:
        assert held is Claim.HELD
        with claim(tmp_path / "lock") as again:
            assert again is Claim.TAKEN


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    with holder(tmp_path / "lock") as other:
        other.kill()
    with claim(tmp_path / "lock") as held:
        assert held is Claim.HELD


def test_waiting_ends_when_the_other_process_does(tmp_path: Path) -> None:
    with holder(tmp_path / "lock") as other:
        subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -9 {other.pid}"]).wait()
        with claim(tmp_path / "lock", wait=True) as held:
            assert held is Claim.HELD


def test_a_block_that_fails_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="of the block"), claim(tmp_path / "lock"):
        raise ValueError("of the block")
    with claim(tmp_path / "lock") as held:
        assert held is Claim.HELD


@pytest.fixture(params=[errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP], ids=errno.errorcode.get)
def no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that has none: some NFS, some FUSE."""

    def refuse(*_: Any) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_run_goes_on_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_run(tmp_path / "run") as run:
        assert run.folder.is_dir()
    assert capsys.readouterr().out.count("has no locks") == 1


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_study_is_one_clear_error(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    folder.create()
    with pytest.raises(TwofoldError, match=r"no locks.*--out"), claimed(folder, Cell(name="a", seed=0)):
        pass
    with pytest.raises(TwofoldError, match=r"no locks.*--out"), alone(tmp_path / "lock"):
        pass


@pytest.mark.usefixtures("no_locks")
def test_without_locks_pictures_are_decoded(tmp_path: Path) -> None:
    data, cache = write_pictures(tmp_path / "data", per_class=2), tmp_path / "cache"
    assert len(load_images(data, recipe=DataRecipe(), store_px=None, cache=cache)) == 6
    assert list((cache / "decoded").glob("*/*.npz"))


@pytest.mark.usefixtures("no_locks")
def test_without_locks_only_a_build_without_writes_for_a_day_is_removed(tmp_path: Path) -> None:
    with building_folder(tmp_path) as running:
        (running / "pixels.bin").write_bytes(b"x")
        clean(tmp_path)
        assert (running / "pixels.bin").exists()
        yesterday = time.time() - 25 * 3600
        for path in (*running.parent.rglob("*"), running.parent):
            os.utime(path, (yesterday, yesterday))
        os.utime(running / "pixels.bin")
        clean(tmp_path)
        assert (running / "pixels.bin").exists()
        os.utime(running / "pixels.bin", (yesterday, yesterday))
        clean(tmp_path)
        assert not running.exists()


def test_a_lock_that_may_not_be_opened_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "run" / ".lock").mkdir(parents=True)  # stands for another user's file; root may open those
    with pytest.raises(TwofoldError, match=r"\.lock' cannot be opened.*--out"), open_run(tmp_path / "run"):
        pass


def test_a_workshop_that_is_taken_for_dead_before_it_is_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that cleans may come in the moment before its lock."""
    made, real = dict[Path, None](), Path.mkdir
    with ExitStack() as stack:

        def watched(self: Path, *given: Any, **options: Any) -> None:
            real(self, *given, **options)
            if self.name.startswith(BUILDING):
                if not made:
                    made[self] = None
                    stack.enter_context(claim(self / "lock"))
                made[self] = None

        monkeypatch.setattr(Path, "mkdir", watched)
        with building_folder(tmp_path) as folder:
            assert len(made) == 2
            assert folder.parent == list(made)[1]
    assert list(tmp_path.iterdir()) == []
