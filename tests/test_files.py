"""Whole files, with the permissions that a careful Unix program leaves."""

import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pictures import write_pictures
from small_recipe import SMALL
from twofold import files
from twofold.data import load_images
from twofold.data.sample import write as sample
from twofold.data.sample import write_sample
from twofold.files import sync_folder, write_atomically, write_json
from twofold.recipes.recipe import DataRecipe
from twofold.report import build_report
from twofold.runs.run_directory import write_quarantine
from twofold.training.loop import pretrain


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o002, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes_below(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): mode(path) for path in folder.rglob("*")}


def expected_below(folder: Path, umask: int) -> dict[str, int]:
    """As `open` and `mkdir` would have made them."""
    return {str(path.relative_to(folder)): (0o777 if path.is_dir() else 0o666) & ~umask for path in folder.rglob("*")}


def test_a_new_file_has_the_permissions_of_the_umask(tmp_path: Path, umask: int) -> None:
    write_atomically(tmp_path / "a", b"x")
    write_json(tmp_path / "b.json", [1])
    assert mode(tmp_path / "a") == mode(tmp_path / "b.json") == 0o666 & ~umask


@pytest.mark.parametrize("kept", [0o600, 0o640, 0o664, 0o444])
def test_a_replaced_file_keeps_its_permissions(tmp_path: Path, umask: int, kept: int) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "a").chmod(kept)
    write_atomically(tmp_path / "a", b"new")
    assert (mode(tmp_path / "a"), (tmp_path / "a").read_bytes()) == (kept, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_all_of_the_cache_has_the_permissions_of_the_umask(tmp_path: Path, umask: int) -> None:
    data, cache = write_pictures(tmp_path / "data", per_class=2), tmp_path / "cache"
    load_images(data, recipe=DataRecipe(), store_px=None, cache=cache)
    assert len(modes_below(cache)) == 10  # a pool of 4 files, what is known of files, what was opened
    assert modes_below(cache) == expected_below(cache, umask)


@pytest.mark.parametrize("umask", [0o002, 0o077], indirect=True, ids=oct)
def test_all_of_a_run_has_the_permissions_of_the_umask(tmp_path: Path, umask: int) -> None:
    data, run = write_pictures(tmp_path / "data", per_class=8), tmp_path / "run"
    pretrain(data, out=run, recipe=SMALL, cache=tmp_path / "cache")
    assert {"recipe.json", "metrics.jsonl", "encoder.safetensors", "checkpoints", ".lock"} <= set(modes_below(run))
    assert modes_below(run) == expected_below(run, umask)


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(tmp_path / "a", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]


def test_a_folder_that_cannot_be_opened_is_not_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""
    real = os.open

    def no_folders(path: str, flags: int, mode: int = 0o777) -> int:
        if Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", no_folders)
    write_atomically(tmp_path / "a", b"x")
    load_images(
        write_pictures(tmp_path / "data", per_class=2), recipe=DataRecipe(), store_px=None, cache=tmp_path / "cache"
    )
    assert (tmp_path / "a").read_bytes() == b"x"


def test_a_file_system_that_syncs_no_folders_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    sync_folder(tmp_path)


def test_a_disk_that_fails_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        sync_folder(tmp_path)


@pytest.mark.parametrize(("patience", "works"), [(5.0, True), (0.0, False)])
def test_a_file_that_somebody_has_open_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: float, works: bool
) -> None:
    """Windows refuses to replace it then; elsewhere a refusal is final."""
    real, refusals = Path.replace, [1, 2]

    def busy(self: Path, target: Path) -> Path:
        if refusals:
            refusals.pop()
            raise PermissionError(errno.EACCES, "in use")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", busy)
    monkeypatch.setattr(files, "_WAIT_S", patience)
    if works:
        write_atomically(tmp_path / "a", b"x")
    else:
        with pytest.raises(PermissionError):
            write_atomically(tmp_path / "a", b"x")
    assert [path.name for path in tmp_path.iterdir()] == (["a"] if works else [])


def test_the_sample_has_the_permissions_of_the_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "SPLITS", ("test",))  # 2,000 of the 14,000 files
    before = os.umask(0o027)
    try:
        write_sample(tmp_path / "sample")
    finally:
        os.umask(before)
    assert modes_below(tmp_path / "sample") == expected_below(tmp_path / "sample", 0o027)


_FULL = """
import resource, sys
from pathlib import Path
from typing import Any
from twofold.files import append_text, write_atomically

folder = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # beyond, a write takes what fits, then fails
for path, write in ((folder / "whole", write_atomically), (folder / "rows", append_text)):
    content = "x" * 80
    write(path, content.encode() if write is write_atomically else content)
    content = "y" * 120
    try:
        write(path, content.encode() if write is write_atomically else content)
    except OSError as error:
        assert error.filename == str(path), error
        assert error.strerror, error
    else:
        raise AssertionError("it was written")
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_a_write_that_fails_half_way_leaves_what_was_there_and_names_the_file(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", _FULL, str(tmp_path)], check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows", "whole"]
    assert {path.read_text() for path in tmp_path.iterdir()} == {"x" * 80}


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_whatever_fails_the_error_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error", "some.tmp", None, "another")

    monkeypatch.setattr(*((os, "fsync") if broken == "fsync" else (Path, "replace")), fail)
    with pytest.raises(OSError, match="Input/output error") as caught:
        write_json(tmp_path / "a.json", [1])
    assert caught.value.filename == str(tmp_path / "a.json")
    assert caught.value.filename2 is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are text")
def test_names_that_are_no_utf8_are_kept(tmp_path: Path) -> None:
    name = os.fsdecode(b"gr\xfc\xdfe")  # written in Latin-1, as on old disks
    write_json(tmp_path / "a.json", {name: ["ü", name]})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {name: ["ü", name]}
    assert "ü" in (tmp_path / "a.json").read_text(encoding="utf-8")
    data = write_pictures(tmp_path / name, per_class=16)
    run = pretrain(data, out=tmp_path / "run", recipe=SMALL, cache=tmp_path / "cache")
    assert run.read_recipe()["data"]["name"] == str(data)
    assert pretrain(data, out=run.folder, recipe=SMALL, cache=tmp_path / "cache").encoder.exists()
    assert build_report(run.folder).exists()
    write_quarantine(run, [{"path": name, "reason": "x"}])
    assert json.loads(run.quarantine.read_text(encoding="utf-8"))["path"] == name


def refuse(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP])
def test_where_nothing_is_renamed_a_file_is_written_at_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(_path: Path, _target: Path) -> None:
        raise refuse(number)

    monkeypatch.setattr(Path, "replace", refused)
    monkeypatch.setattr(os, "fsync", lambda _handle: (_ for _ in ()).throw(refuse(errno.ENOSYS)))
    for content in (b"first", b"second"):
        files.write_atomically(tmp_path / "a.json", content)
        assert (tmp_path / "a.json").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_rename_that_fails_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_path: Path, _target: Path) -> None:
        raise refuse(errno.EACCES if os.name != "nt" else errno.EIO)

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(OSError, match=r"a\.json"):
        files.write_atomically(tmp_path / "a.json", b"first")
    assert not list(tmp_path.iterdir())


def test_where_nothing_is_appended_a_file_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, opened = tmp_path / "rows", Path.open

    def no_append(one: Path, mode: str = "r", **options: Any) -> Any:
        if mode == "a" and one.exists():
            raise refuse(errno.EPERM)
        return opened(one, mode, **options)

    monkeypatch.setattr(Path, "open", no_append)
    for row in ("one\n", "two\n", "ä\n"):
        files.append_text(path, row)
    assert path.read_text(encoding="utf-8") == "one\ntwo\nä\n"
