"""The store: decoded once, found again by content, whole or not there."""

import builtins
import errno
import hashlib
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.image_files import profile
from pictures import write_pictures
from twofold.data import ImageSet, Record, Rules, decode, load_images, pool, store
from twofold.data.cache import cache_folder
from twofold.data.sources.folder import FolderSource
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "data", per_class=9)


def load(folder: Path, store_px: int | None = None, **settings: Any) -> ImageSet:
    return load_images(folder, recipe=DataRecipe(**settings), store_px=store_px, cache=folder.parent / "cache")


def segments(folder: Path) -> list[Path]:
    """The files of pixels, of all rules."""
    return sorted((folder.parent / "cache" / "decoded").glob("*/*.pixels"))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each image that is decoded."""
    calls: list[int] = []
    monkeypatch.setattr(pool, "decode", lambda *given: calls.append(1) or decode(*given))
    return calls


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

    monkeypatch.setattr(pool, "decode", refuse)


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
    monkeypatch.setattr(pool, "_keep", lambda *_: pytest.fail("read again"))
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


def test_one_changed_byte_gives_another_fingerprint(folder: Path, decoded: list[int]) -> None:
    first = load(folder)
    path = folder / "discs" / "003.png"
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1  # in the checksum of the last chunk: the same size, the same pixels
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert load(folder).fingerprint != first.fingerprint
    assert len(decoded) == 27 + 1


def test_rules_have_images_of_their_own(folder: Path, decoded: list[int]) -> None:
    shapes = {everything(load(folder, px, channels=channels)).shape[1:] for px in (None, 16) for channels in (1, 3)}
    assert shapes == {(1, 24, 24), (3, 24, 24), (1, 16, 16), (3, 16, 16)}
    assert len(decoded) == 4 * 27
    assert len(segments(folder)) == 4


def test_one_image_added_removed_or_renamed_costs_one(
    folder: Path, decoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither are the others read again."""
    first = load(folder, 24)
    read, opened = FolderSource.read, list[int]()
    monkeypatch.setattr(FolderSource, "read", lambda self, index: opened.append(index) or read(self, index))
    Image.new("RGB", (24, 24), (1, 2, 3)).save(folder / "discs" / "new.png")
    added = load(folder, 24)
    assert (len(added), len(decoded), len(opened)) == (28, 28, 1)
    (folder / "bars" / "001.png").unlink()
    removed = load(folder, 24)
    assert (len(removed), len(decoded), len(opened)) == (27, 28, 1)
    (folder / "discs" / "003.png").rename(folder / "discs" / "x.png")
    renamed = load(folder, 24)
    assert (len(renamed), len(decoded), len(opened)) == (27, 28, 2)
    assert len({one.fingerprint for one in (first, added, removed, renamed)}) == 4
    for path, image in zip(renamed.paths, everything(renamed), strict=True):
        assert np.array_equal(image.transpose(1, 2, 0), decode((folder / path).read_bytes(), Rules(channels=3)).pixels)


def test_data_sets_share_their_images(folder: Path, tmp_path: Path, decoded: list[int]) -> None:
    load(folder)
    shutil.copytree(folder / "bars", tmp_path / "part")
    images = load_images(tmp_path / "part", recipe=DataRecipe(), store_px=None, cache=folder.parent / "cache")
    assert (len(images), len(decoded)) == (9, 27)


def test_copies_are_decoded_and_kept_once(folder: Path, decoded: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    counted = pool.decode
    monkeypatch.setattr(pool, "decode", lambda *given: (time.sleep(0.01), counted(*given))[1])  # all threads are in it
    for number in range(20):
        shutil.copy(folder / "bars" / "000.png", folder / "bars" / f"copy{number}.png")
    images = load(folder)
    assert (len(images), len(decoded)) == (47, 27)
    (file,) = segments(folder)
    assert file.stat().st_size == 27 * 24 * 24 * 3
    assert len(np.unique(everything(images), axis=0)) == 27


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


@pytest.mark.usefixtures("no_decoding")
def test_a_failed_build_leaves_no_image(folder: Path) -> None:
    with pytest.raises(AssertionError, match="decoded again"):
        load(folder)
    assert segments(folder) == []


@pytest.mark.parametrize("end", [".pixels", ".npz"])
@pytest.mark.parametrize("is_gone", [False, True])
def test_a_damaged_segment_is_decoded_again(folder: Path, end: str, is_gone: bool, decoded: list[int]) -> None:
    before = everything(load(folder))
    (file,) = (folder.parent / "cache" / "decoded").glob(f"*/*{end}")
    file.write_bytes(file.read_bytes()[:-7])
    if is_gone:
        file.unlink()
    (folder / "bars" / "000.png").touch()  # so that the index is asked
    assert np.array_equal(everything(load(folder)), before)
    assert len(decoded) == (27 if is_gone or end == ".npz" else 1) + 27, "only what is gone"
    assert np.array_equal(everything(load(folder)), before)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 damaged", b"{"])
@pytest.mark.parametrize("kept", ["openings", "files"])
def test_a_damaged_opening_costs_a_hash_at_most(
    folder: Path, request: pytest.FixtureRequest, content: bytes, kept: str
) -> None:
    first = load(folder)
    request.getfixturevalue("no_decoding")
    for path in (folder.parent / "cache" / kept).iterdir():
        path.write_bytes(content)
    (folder / "bars" / "000.png").touch()
    assert load(folder).fingerprint == first.fingerprint


def test_a_cache_that_cannot_be_written_is_named(folder: Path) -> None:
    (folder.parent / "cache").write_text("a file")
    with pytest.raises(TwofoldError, match=r"cache '.*cache' cannot be written.*--cache") as raised:
        load(folder)
    assert "\n" not in str(raised.value)


def test_the_variable_chooses_the_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOFOLD_CACHE", str(folder.parent / "chosen"))
    load_images(folder, recipe=DataRecipe(), store_px=None)
    assert (folder.parent / "chosen" / "decoded").is_dir()


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


@pytest.mark.parametrize("pattern", ["decoded/*/*.pixels", "openings/*.npz"])
def test_a_store_that_cannot_be_read_is_named_and_stays(
    folder: Path, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user's, or on a disk that fails: it may be whole."""
    load(folder)
    (home,) = (folder.parent / "cache").glob(pattern)
    opening = builtins.open

    def fail(path: Any, *given: Any, **options: Any) -> Any:
        if str(path) == str(home):
            raise OSError(errno.EIO, "Input/output error", str(path))
        return opening(path, *given, **options)

    monkeypatch.setattr(builtins, "open", fail)
    monkeypatch.setattr("io.open", fail)
    with pytest.raises(TwofoldError, match=r"Input/output error.*--cache"):
        load(folder)
    assert home.stat().st_size > 0


def test_plain_images_have_the_name_that_the_first_version_gave_them(folder: Path) -> None:
    """So that a run that was begun before is continued; what other rules change has another name."""
    images = load(folder)
    places = store.digest([images.paths, [1, 3, None]])[:24]
    contents = [hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in images.paths]
    name = f"{places}-{store.digest(contents)[:32]}"
    assert images.quarantine == []
    assert images.fingerprint == store.digest([name, images.splits])


def test_a_store_of_an_earlier_version_is_not_read(
    folder: Path, decoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it holds is decoded anew; the fingerprint stays."""
    with monkeypatch.context() as earlier:
        for module in (pool, store):
            earlier.setattr(module, "FORMAT", pool.FORMAT - 1)
        old = load(folder)
    new = load(folder)
    assert len(decoded) == 2 * len(new)
    assert load(folder).fingerprint == new.fingerprint == old.fingerprint
    assert len(decoded) == 2 * len(new), "once"


def test_an_image_that_later_rules_show_otherwise_gives_another_fingerprint(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = profile(b"RGB ", 1.0, np.eye(3))
    Image.new("RGB", (8, 8), (200, 10, 10)).save(folder / "new.png", icc_profile=wide)
    fingerprint = load(folder).fingerprint
    monkeypatch.setattr(store, "_AS_EVER", store._AS_EVER | {"profile"})  # as the first version named it
    named_as_ever = load_images(folder, recipe=DataRecipe(), store_px=None, cache=tmp_path / "cache2")
    assert named_as_ever.fingerprint != fingerprint
