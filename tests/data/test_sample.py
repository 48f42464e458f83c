"""The sample is what its README says: balanced, unaltered, no image twice, written once."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twofold.data.sample import read_tiles, write_sample
from twofold.errors import TwofoldError

PER_CLASS = {"train": 1200, "test": 200}
PACKAGE = Path(__file__).parents[2] / "src/twofold/data/sample"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("place") / "sample")


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (28, 28))
        return np.asarray(picture)


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_class_has_the_same_number_of_pictures(folder: Path, split: str) -> None:
    counts = {place.name: len(list(place.iterdir())) for place in (folder / split).iterdir()}
    assert len(counts) == 10
    assert set(counts.values()) == {PER_CLASS[split]}


def test_nothing_else_is_written(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {"train", "test"}
    assert {path.name for path in (folder / "train").iterdir()} == {path.name for path in (folder / "test").iterdir()}


@pytest.mark.parametrize("split", ["train", "test"])
def test_files_hold_the_tiles_of_the_sheets_in_order(folder: Path, split: str) -> None:
    labels = read_tiles(split)[1]
    sheets = [np.asarray(Image.open(path).convert("L")) for path in sorted(PACKAGE.glob(f"{split}-*.webp"))]
    number = dict.fromkeys(labels, 0)
    for position, label in enumerate(labels):
        number[label] += 1
        top, left = 28 * (position % 1000 // 25), 28 * (position % 25)
        tile = sheets[position // 1000][top : top + 28, left : left + 28]
        if position % 7 == 0:  # each file takes a while to read; a seventh of them falls on every column of the sheet
            np.testing.assert_array_equal(pixels(folder / split / label / f"{number[label]:05d}.png"), tile)


def test_no_picture_occurs_twice_within_or_across_the_splits() -> None:
    digests = [hashlib.sha256(tile.tobytes()).digest() for split in PER_CLASS for tile in read_tiles(split)[0]]
    assert len(digests) == len(set(digests)) == 14_000


def test_classes_look_different() -> None:
    tiles, labels = read_tiles("train")
    test_tiles, test_labels = read_tiles("test")
    names = sorted(set(labels))
    means = np.stack([tiles[np.array(labels) == name].mean(axis=0).ravel() for name in names])
    nearest = ((test_tiles.reshape(len(test_tiles), 1, -1) - means) ** 2).sum(axis=2).argmin(axis=1)
    right = np.mean([names[guess] == label for guess, label in zip(nearest, test_labels, strict=True)])
    assert right > 0.6  # labels belong to their tiles: shifted by one, this is a tenth


def test_second_call_writes_nothing(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert write_sample(folder) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_missing_and_empty_pictures_come_back(folder: Path) -> None:
    lost, emptied, kept = (folder / "test" / "bag" / f"{number:05d}.png" for number in (3, 4, 5))
    before, other = lost.read_bytes(), (folder / "test" / "coat").stat().st_mtime_ns
    lost.unlink()
    emptied.write_bytes(b"")
    write_sample(folder)
    assert lost.read_bytes() == before
    assert emptied.stat().st_size > 0
    assert kept.is_file()
    assert (folder / "test" / "coat").stat().st_mtime_ns == other


def test_a_kill_leaves_no_class_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[str] = []
    save = Image.Image.save

    def save_until_killed(self: Image.Image, path: Path) -> None:
        saved.append(str(path))
        if len(saved) == 1500:
            raise KeyboardInterrupt
        save(self, path)

    monkeypatch.setattr(Image.Image, "save", save_until_killed)
    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path)
    assert [len(list(place.iterdir())) for place in (tmp_path / "train").iterdir()] == [1200]


def test_other_peoples_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "cats").mkdir()
    with pytest.raises(TwofoldError, match="'cats'"):
        write_sample(tmp_path)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(TwofoldError, match=r"cannot write the sample to '.*file"):
        write_sample(tmp_path / "file" / "sample")


def test_sheets_are_small_and_licensed() -> None:
    assert all(path.stat().st_size < 2_000_000 for path in PACKAGE.glob("*.webp"))
    assert sum(path.stat().st_size for path in PACKAGE.iterdir() if path.is_file()) < 6_000_000
    assert "Zalando SE" in (PACKAGE / "FASHION-MNIST-LICENSE").read_text()


def test_filling_up_leaves_alone_what_is_there(folder: Path) -> None:
    changed, missing, empty = (folder / "test" / "bag" / f"{number:05d}.png" for number in (1, 2, 3))
    before = {path: path.read_bytes() for path in (changed, missing, empty)}
    changed.write_bytes(b"mine")
    missing.unlink()
    empty.write_bytes(b"")
    write_sample(folder)
    after = {path: path.read_bytes() for path in before}
    changed.write_bytes(before[changed])
    assert after == {**before, changed: b"mine"}
