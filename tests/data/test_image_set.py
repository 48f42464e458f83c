"""From a folder to rows with labels, splits and a quarantine."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pictures import CLASSES, write_pictures
from twofold.data import ImageSet, Record, load_images
from twofold.data.image_set import assign_splits
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe


def load(folder: Path, *, px: int | None = None, **settings: float) -> ImageSet:
    return load_images(folder, recipe=DataRecipe(**settings), store_px=px, cache=folder.parent / "cache")


def test_labels_and_a_test_split_come_from_the_folders(tmp_path: Path) -> None:
    images = load(write_pictures(tmp_path / "data", per_class=20))
    assert images.classes == sorted(CLASSES)
    assert images.is_labelled
    assert [images.classes[i] for i in images.class_ids] == [path.split("/")[0] for path in images.paths]
    test = images.rows("test")
    assert np.bincount(images.class_ids[test]).tolist() == [4, 4, 4]
    assert images.stated == ["no test split: 20 % (12 images) cut off as test by seed 0"]


def test_splits_part_all_rows(tmp_path: Path) -> None:
    images = load(write_pictures(tmp_path / "data", per_class=3, splits=("train", "val", "test")))
    rows = [images.rows(split) for split in ("train", "validation", "test")]
    assert sorted(np.concatenate(rows)) == list(range(len(images)))
    assert [len(r) for r in rows] == [9, 9, 9]
    assert all((np.diff(r) > 0).all() for r in rows)
    assert images.stated == []
    with pytest.raises(TwofoldError, match="did you mean 'validation'"):
        images.rows("valdation")


def test_the_cut_is_a_function_of_the_seed(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "data", per_class=20)
    cuts = [load(folder, data_seed=seed).rows("test").tolist() for seed in (0, 0, 1)]
    assert cuts[0] == cuts[1] != cuts[2]


def test_the_fingerprint_moves_with_pixels_and_splits(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "data", per_class=20)
    prints = {load(folder).fingerprint, load(folder, data_seed=1).fingerprint, load(folder, px=16).fingerprint}
    assert len(prints) == 3


def test_an_unlabelled_folder_is_all_train(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "data", per_class=4) / "bars"
    images = load(folder)
    assert len(images.rows("train")) == len(images) == 4
    assert not images.is_labelled
    assert images.classes == []
    assert images.class_ids.tolist() == [-1] * 4
    assert images.stated == []


def records(labels: str, splits: str) -> list[Record]:
    """One for each letter: '-' is none, splits by their first letter."""
    names = {"t": "train", "v": "validation", "e": "test", "-": None}
    pairs = enumerate(zip(labels, splits, strict=True))
    return [Record(path=str(i), label=None if label == "-" else label, split=names[s]) for i, (label, s) in pairs]


@pytest.mark.parametrize(
    ("labels", "splits", "counts", "stated"),
    [
        ("aabb", "----", (2, 0, 2), 1),
        ("aabbaabb", "ttttvvvv", (2, 4, 2), 1),
        ("aabbaabb", "tttteeee", (4, 0, 4), 0),
        ("----", "----", (4, 0, 0), 0),
        ("aaaa", "----", (4, 0, 0), 0),
        ("aab-", "----", (4, 0, 0), 1),
        ("aabb", "t-ev", (2, 1, 1), 0),
    ],
)
def test_who_has_a_test_split_cut_off(labels: str, splits: str, counts: tuple[int, ...], stated: int) -> None:
    found, sentences = assign_splits(records(labels, splits), DataRecipe(test_fraction=0.5))
    assert tuple(found.count(name) for name in ("train", "validation", "test")) == counts
    assert len(sentences) == stated


def test_validation_rows_are_never_cut(tmp_path: Path) -> None:
    images = load(write_pictures(tmp_path / "data", per_class=5, splits=("train", "validation")))
    validation = {images.paths[row].split("/")[0] for row in images.rows("validation")}
    assert validation == {"validation"}
    assert len(images.rows("validation")) == 15


def test_unreadable_files_are_set_aside_with_a_reason(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "data", per_class=20)
    whole = (folder / "bars" / "000.png").read_bytes()
    Image.new("RGB", (64, 64)).save(folder / "bars" / "cut.jpg")
    (folder / "bars" / "cut.jpg").write_bytes((folder / "bars" / "cut.jpg").read_bytes()[:-20])
    (folder / "checks" / "empty.png").write_bytes(b"")
    (folder / "discs" / "text.jpg").write_text("no picture")
    (folder / "discs" / "gone.jpg").symlink_to(folder / "nowhere")
    for _ in range(2):  # decoded, then from the store
        images = load(folder)
        assert len(images) == 60
        reasons = {one.path: one.reason for one in images.quarantine}
        assert list(reasons) == ["bars/cut.jpg", "checks/empty.png", "discs/gone.jpg", "discs/text.jpg"]
        for reason, word in zip(reasons.values(), ("truncated", "empty", "No such file", "recognised"), strict=True):
            assert word in reason
        first = images.read(np.array([images.paths.index("bars/000.png")])).images[0]
        (tmp_path / "copy.png").write_bytes(whole)
        assert np.array_equal(first.permute(1, 2, 0), np.asarray(Image.open(tmp_path / "copy.png")))
        assert len(images.labels) == len(images.splits) == len(images.class_ids) == 60


@pytest.fixture
def half_broken(tmp_path: Path) -> Path:
    folder = write_pictures(tmp_path / "data", per_class=2)
    for number in range(6):
        (folder / "bars" / f"broken{number}.png").write_bytes(b"")
    return folder


def test_too_many_unreadable_files_are_an_error(half_broken: Path) -> None:
    with pytest.raises(TwofoldError, match=r"6 of 12 files .*50\.0%.* 10% .*--max-unreadable-fraction") as raised:
        load(half_broken)
    assert str(raised.value).count("empty (0 bytes)") == 3
    assert "\n" not in str(raised.value)


def test_the_limit_itself_is_allowed(half_broken: Path) -> None:
    assert len(load(half_broken, max_unreadable_fraction=0.5)) == 6
    with pytest.raises(TwofoldError, match="6 of 12"):
        load(half_broken, max_unreadable_fraction=0.49)


def test_nothing_readable_is_an_error_whatever_the_limit(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.png").write_bytes(b"")
    with pytest.raises(TwofoldError, match="none of the 1 files"):
        load(tmp_path / "data", max_unreadable_fraction=0.99)


def test_a_single_picture_is_no_error_here(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "data" / "a.png")
    assert len(load(tmp_path / "data")) == 1


def test_progress_is_shown_only_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load(write_pictures(tmp_path / "data", per_class=2))
    assert capsys.readouterr() == ("", "")
    load_images(tmp_path / "data", recipe=DataRecipe(), store_px=8, cache=tmp_path / "cache", show_progress=True)
    assert "Traceback" not in capsys.readouterr().err
