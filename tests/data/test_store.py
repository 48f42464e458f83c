"""The store: decoded once, found again by content, whole or not there."""

import builtins
import errno
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.image_files import profile
from pictures import write_pictures
from twofold.data import ImageSet, Record, Rules, decode, load_images, store
from twofold.data.cache import BUILDING, cache_folder
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "data", per_class=9)


def load(folder: Path, store_px: int | None = None, **settings: Any) -> ImageSet:
    return load_images(folder, recipe=DataRecipe(**settings), store_px=store_px, cache=folder.parent / "cache")


def stores(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder.parent / "cache" / "stores").iterdir())


def everything(images: ImageSet) -> np.ndarray:
    return images.read(np.arange(len(images))).images.numpy()


class Lazy:
    """A source of one's own, whose images are read from their files when their pixels are asked for."""

    name, findings = "lazy", ()

    def __init__(self, paths: list[Path]) -> None:
        self.records = [Record(path=path.name) for path in paths]
        self.images = [Image.open(path) for path in paths]

    def stamp(self) -> str:
        return "one"

    def open(self, index: int) -> Image.Image:
        return self.images[index]

    read = open


def test_images_that_are_not_loaded_yet_are_read_or_set_aside(folder: Path, tmp_path: Path) -> None:
    paths = sorted((folder / "bars").glob("*.png"))
    paths[3].write_bytes(paths[3].read_bytes()[:-200])
    lazy = Lazy(paths)
    images = load_images(lazy, recipe=DataRecipe(max_unreadable_fraction=0.5), store_px=None, cache=tmp_path / "cache")
    assert images.paths == [path.name for path in paths if path != paths[3]]
    assert [one.path for one in images.quarantine] == [paths[3].name]
    assert "truncated" in images.quarantine[0].reason
    for image in lazy.images:
        image.close()


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(store, "decode", refuse)


def test_rows_are_the_decoded_files(folder: Path) -> None:
    images = load(folder)
    for path, picture in zip(images.paths, everything(images), strict=True):
        decoded = decode((folder / path).read_bytes(), Rules(channels=3))
        assert np.array_equal(picture.transpose(1, 2, 0), decoded.pixels)


def test_the_second_time_nothing_is_decoded_or_read(
    folder: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(folder)
    request.getfixturevalue("no_decoding")
    monkeypatch.setattr(store, "_digest_at", lambda *_: pytest.fail("read again"))
    second = load(folder)
    assert np.array_equal(everything(first), everything(second))
    assert (first.paths, first.fingerprint) == (second.paths, second.fingerprint)


@pytest.mark.usefixtures("no_decoding")
def test_the_check_for_decoding_sees_it(folder: Path) -> None:
    with pytest.raises(AssertionError, match="decoded again"):
        load(folder)


def test_a_moved_folder_is_hashed_and_not_decoded(folder: Path, request: pytest.FixtureRequest) -> None:
    first = load(folder)
    request.getfixturevalue("no_decoding")
    moved = folder.rename(folder.parent / "moved")
    assert load(moved).fingerprint == first.fingerprint


def test_touched_files_are_hashed_and_not_decoded(folder: Path, request: pytest.FixtureRequest) -> None:
    first = load(folder)
    request.getfixturevalue("no_decoding")
    for path in folder.rglob("*.png"):
        os.utime(path, (0, 0))
    assert load(folder).fingerprint == first.fingerprint


def test_other_labels_in_a_manifest_reuse_the_pixels(folder: Path, request: pytest.FixtureRequest) -> None:
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png"))
    manifest = folder / "list.csv"

    def write(labels: str) -> None:
        lines = [f"{name},{label},train" for name, label in zip(names, labels * 9, strict=True)]
        manifest.write_text("\n".join(["path,label,split", *lines, ""]))

    cache = folder.parent / "cache"
    write("abc")
    first = load_images(manifest, recipe=DataRecipe(), store_px=None, cache=cache)
    request.getfixturevalue("no_decoding")
    write("xyz")
    second = load_images(manifest, recipe=DataRecipe(), store_px=None, cache=cache)
    assert (first.classes, second.classes) == (["a", "b", "c"], ["x", "y", "z"])
    assert np.array_equal(everything(first), everything(second))
    assert first.fingerprint == second.fingerprint
    assert len(stores(folder)) == 1


def test_one_changed_byte_gives_a_new_store(folder: Path) -> None:
    first = load(folder)
    path = folder / "discs" / "003.png"
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1  # in the checksum of the last chunk: the same size, the same pixels
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert load(folder).fingerprint != first.fingerprint
    assert len(stores(folder)) == 2


def test_settings_have_stores_of_their_own(folder: Path) -> None:
    shapes = {everything(load(folder, px, channels=channels)).shape[1:] for px in (None, 16) for channels in (1, 3)}
    assert shapes == {(1, 24, 24), (3, 24, 24), (1, 16, 16), (3, 16, 16)}
    assert len(stores(folder)) == 4


def test_a_renamed_picture_is_another_store(folder: Path) -> None:
    first = load(folder)
    (folder / "discs" / "003.png").rename(folder / "discs" / "x.png")
    second = load(folder)
    assert second.fingerprint != first.fingerprint
    assert "discs/x.png" in second.paths


def test_mixed_sizes_lie_at_the_top_left(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    pictures = [draw.integers(1, 256, (*size, 3), dtype=np.uint8) for size in ((5, 9), (8, 4), (5, 9), (1, 1))]
    (tmp_path / "data").mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / "data" / f"{number}.png")
    images = load(tmp_path / "data")
    for rows, canvas in (([3, 1, 0], (8, 9)), ([0, 2], (5, 9)), ([3], (1, 1))):
        batch = images.read(np.array(rows))
        assert tuple(batch.images.shape) == (len(rows), 3, *canvas)
        for row, image, (height, width) in zip(rows, batch.images.numpy(), batch.sizes.tolist(), strict=True):
            assert (height, width) == pictures[row].shape[:2]
            expected = np.zeros_like(image)
            expected[:, :height, :width] = pictures[row].transpose(2, 0, 1)
            assert np.array_equal(image, expected)


def test_reading_no_rows_gives_an_empty_batch(folder: Path) -> None:
    assert len(load(folder).read(np.zeros(0, np.int64)).images) == 0


def test_a_batch_may_be_written_to_without_touching_the_store(folder: Path) -> None:
    images = load(folder)
    before = everything(images)
    images.read(np.arange(3)).images.zero_()
    assert np.array_equal(everything(images), before)


KILLED = """
import os, sys
from pathlib import Path
from twofold.data import load_images, store
from twofold.recipes.recipe import DataRecipe

decode, decoded = store.decode, []
def dying(*given, **settings):
    decoded.append(1)
    if len(decoded) == 20:
        os.kill(os.getpid(), 9)
    return decode(*given, **settings)

if sys.argv[2] == "kill":
    store.decode = dying
cache = Path(sys.argv[1]).parent / "cache"
print(load_images(sys.argv[1], recipe=DataRecipe(), store_px=None, cache=cache).fingerprint)
"""


def start(folder: Path, what: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), what], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_killed_build_is_ignored_and_cleaned(folder: Path) -> None:
    process = start(folder, "kill")
    process.communicate()
    assert process.returncode == -9
    assert [name.startswith(BUILDING) for name in stores(folder)] == [True]
    images = load(folder)
    assert len(images) == 27
    assert not any(name.startswith(BUILDING) for name in stores(folder))


def test_two_processes_at_once_end_well(folder: Path) -> None:
    processes = [start(folder, "build") for _ in range(2)]
    results = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    assert results[0][0] == results[1][0] == f"{load(folder).fingerprint}\n"
    assert len(stores(folder)) == 1


def test_a_build_that_is_overtaken_takes_the_other_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish, other = store.publish, list[ImageSet]()

    def overtaken(temporary: Path, final: Path) -> None:
        monkeypatch.setattr(store, "publish", publish)
        other.append(load(folder))
        assert final.is_dir()
        publish(temporary, final)

    monkeypatch.setattr(store, "publish", overtaken)
    assert load(folder).fingerprint == other[0].fingerprint
    assert len(stores(folder)) == 1


def test_a_build_in_progress_is_left_alone(folder: Path) -> None:
    running = folder.parent / "cache" / "stores" / f"{BUILDING}running"
    running.mkdir(parents=True)
    with (running / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        load(folder)
        assert running.is_dir()
    load(folder, 16)
    assert not running.exists()


@pytest.mark.usefixtures("no_decoding")
def test_a_failed_build_leaves_nothing(folder: Path) -> None:
    with pytest.raises(AssertionError, match="decoded again"):
        load(folder)
    assert stores(folder) == []


@pytest.mark.parametrize("name", ["pixels.bin", "sizes.npy", "records.npy", "store.json"])
def test_a_damaged_store_is_built_again(folder: Path, name: str) -> None:
    before = everything(load(folder))
    (home,) = (folder.parent / "cache" / "stores").iterdir()
    (home / name).write_bytes((home / name).read_bytes()[:-7])
    assert np.array_equal(everything(load(folder)), before)


def test_a_damaged_index_costs_a_hash_only(folder: Path, request: pytest.FixtureRequest) -> None:
    first = load(folder)
    request.getfixturevalue("no_decoding")
    for stamp in (folder.parent / "cache" / "stamps").iterdir():
        stamp.write_text("")
    assert load(folder).fingerprint == first.fingerprint


def test_a_cache_that_cannot_be_written_is_named(folder: Path) -> None:
    (folder.parent / "cache").write_text("a file")
    with pytest.raises(TwofoldError, match=r"cache '.*cache' cannot be written.*--cache") as raised:
        load(folder)
    assert "\n" not in str(raised.value)


def test_the_variable_chooses_the_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOFOLD_CACHE", str(folder.parent / "chosen"))
    load_images(folder, recipe=DataRecipe(), store_px=None)
    assert (folder.parent / "chosen" / "stores").is_dir()


@pytest.mark.skipif(sys.platform != "linux", reason="the place of Linux")
def test_without_it_the_cache_lies_where_linux_keeps_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("TWOFOLD_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder(None) == tmp_path / ".cache" / "twofold"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    assert cache_folder(None) == tmp_path / "other" / "twofold"
    assert cache_folder(Path("~/own")) == tmp_path / "own"


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """As another user's folder is; root, who may run the tests, could write to a real one."""
    opening, opening_low = Path.open, os.open

    def open_to_read_low(path: Any, flags: int, *given: Any, **options: Any) -> int:
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opening_low(path, flags, *given, **options)

    def open_to_read(self: Path, mode: str = "r", *given: Any, **options: Any) -> Any:
        if "r" not in mode or "+" in mode:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return opening(self, mode, *given, **options)

    def refuse(self: Path, *given: Any, **options: Any) -> None:
        if not self.is_dir():
            raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(os, "open", open_to_read_low)
    monkeypatch.setattr(Path, "open", open_to_read)
    monkeypatch.setattr(Path, "mkdir", refuse)


def test_a_cache_that_may_only_be_read_is_used(folder: Path, request: pytest.FixtureRequest) -> None:
    """By its stamp, and by its content where the images were moved."""
    first = load(folder)
    request.getfixturevalue("no_decoding")
    moved = folder.rename(folder.parent / "moved")
    request.getfixturevalue("read_only")
    assert load(moved).fingerprint == first.fingerprint
    moved.rename(folder)
    assert load(folder).fingerprint == first.fingerprint


def test_a_cache_that_may_only_be_read_and_lacks_the_store_is_named(
    folder: Path, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("read_only")
    with pytest.raises(TwofoldError, match=r"cache '.*cache' cannot be written.*Permission denied.*--cache"):
        load(folder)


@pytest.mark.parametrize("name", ["pixels.bin", "sizes.npy", "store.json"])
def test_a_store_that_cannot_be_read_is_named_and_stays(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user's, or on a disk that fails: it may be whole."""
    load(folder)
    (home,) = (folder.parent / "cache" / "stores").iterdir()
    opening = builtins.open

    def fail(path: Any, *given: Any, **options: Any) -> Any:
        if str(path) == str(home / name):
            raise OSError(errno.EIO, "Input/output error", str(path))
        return opening(path, *given, **options)

    monkeypatch.setattr(builtins, "open", fail)
    monkeypatch.setattr("io.open", fail)
    with pytest.raises(TwofoldError, match=r"Input/output error.*--cache"):
        load(folder)
    assert (home / name).stat().st_size > 0


def test_a_store_that_another_process_has_just_mended_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = everything(load(folder))
    (home,) = (folder.parent / "cache" / "stores").iterdir()
    whole = folder.parent / "whole"
    shutil.copytree(home, whole)
    (home / "pixels.bin").write_bytes(b"")
    rename, found = Path.rename, list[int]()

    def mended_first(self: Path, target: Path) -> Path:
        if self == home and not found:
            shutil.rmtree(home)
            shutil.copytree(whole, home)
            found.append((home / "pixels.bin").stat().st_ino)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", mended_first)
    assert np.array_equal(everything(load(folder)), before)
    assert (home / "pixels.bin").stat().st_ino == found[0]


def test_plain_images_have_the_name_that_the_first_version_gave_them(folder: Path) -> None:
    """So that a run that was begun before is continued; what other rules change has another name."""
    images = load(folder)
    places = store.digest([images.paths, [1, 3, None]])[:24]
    contents = [hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in images.paths]
    name = f"{places}-{store.digest(contents)[:32]}"
    assert images.quarantine == []
    assert images.fingerprint == store.digest([name, images.splits])


def test_a_store_of_an_earlier_version_is_decoded_anew_under_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "FORMAT", 1)
    old = load(folder)
    monkeypatch.undo()
    decoded: list[int] = []
    real = store.decode
    monkeypatch.setattr(store, "decode", lambda *given: decoded.append(1) or real(*given))
    new = load(folder)
    assert len(decoded) == len(new)
    assert new.fingerprint == old.fingerprint
    assert load(folder).fingerprint == old.fingerprint
    assert len(decoded) == len(new), "once"


def test_an_image_that_later_rules_show_otherwise_gives_another_fingerprint(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = profile(b"RGB ", 1.0, np.eye(3))
    Image.new("RGB", (8, 8), (200, 10, 10)).save(folder / "new.png", icc_profile=wide)
    fingerprint = load(folder).fingerprint
    monkeypatch.setattr(store, "_AS_EVER", store._AS_EVER | {"profile"})  # as the first version named it
    named_as_ever = load_images(folder, recipe=DataRecipe(), store_px=None, cache=tmp_path / "cache2")
    assert named_as_ever.fingerprint != fingerprint
