"""From a folder to rows with labels, splits and a quarantine."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pictures import CLASSES, write_pictures
from twofold.data import ImageSet, Record, load_images
from twofold.data.assignment import assign_splits, group_by
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe


def load(folder: Path, *, px: int | None = None, **settings: Any) -> ImageSet:
    return load_images(folder, recipe=DataRecipe(**settings), store_px=px, cache=folder.parent / "cache")


def test_labels_and_a_test_split_come_from_the_folders(tmp_path: Path) -> None:
    images = load(write_pictures(tmp_path / "data", per_class=20))
    assert images.classes == sorted(CLASSES)
    assert images.is_labelled
    assert [images.classes[i] for i in images.class_ids] == [path.split("/")[0] for path in images.paths]
    test = images.rows("test")
    assert np.bincount(images.class_ids[test]).tolist() == [4, 4, 4]
    said = "no test split: 20 % (12 images) cut off as test by seed 0"
    assert images.stated == [f"{said}; evaluation cross-validates (under 1,000 labelled images)"]


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
    ("labels", "splits", "counts", "codes"),
    [
        ("aabb", "----", (2, 0, 2), "TF001"),
        ("aabbaabb", "ttttvvvv", (4, 0, 4), "TF002"),
        ("aabb----", "ttttvvvv", (2, 4, 2), "TF001"),
        ("aabbaabb", "tttteeee", (4, 0, 4), ""),
        ("aabb--", "ttttee", (2, 0, 4), "TF003 TF001"),
        ("aabbaabb--", "ttttvvvvee", (4, 0, 6), "TF003 TF002"),
        ("----", "----", (4, 0, 0), ""),
        ("aaaa", "----", (4, 0, 0), ""),
        ("aab-", "----", (3, 0, 1), "TF007 TF001"),
        ("aabb----", "----" * 2, (6, 0, 2), "TF007 TF001"),
        ("ab", "--", (2, 0, 0), "TF033"),
        ("aabb", "t-ev", (2, 1, 1), ""),
    ],
)
def test_where_the_test_split_comes_from(labels: str, splits: str, counts: tuple[int, ...], codes: str) -> None:
    assigned = assign_splits(records(labels, splits), DataRecipe(test_fraction=0.5))
    assert tuple(assigned.splits.count(name) for name in ("train", "validation", "test")) == counts
    assert [finding.code for finding in assigned.findings] == codes.split()
    origins = {"TF001": "cut", "TF002": "validation", "TF033": None}
    expected = next((origins[code] for code in codes.split() if code in origins), "own" if "e" in splits else None)
    assert assigned.test_from == expected


def test_no_unlabelled_image_is_cut_off_as_test() -> None:
    assigned = assign_splits(records("ab" * 20 + "-" * 200, "-" * 240), DataRecipe())
    assert assigned.splits[40:] == ["train"] * 200
    assert assigned.splits.count("test") == 8


def test_groups_are_what_the_pattern_finds_in_the_path() -> None:
    found = group_by([Record(path=path) for path in ("a/p1_0.png", "b/p1_1.png", "b/x.png")], r"(p\d)_")
    assert [record.group for record in found] == ["p1", "p1", None]
    assert [record.group for record in group_by(found, r"^\w/")] == ["a/", "b/", "b/"]
    with pytest.raises(TwofoldError, match=r"--group-by 'q' matches none of 3 paths, .* 'a/p1_0\.png'"):
        group_by(found, "q")
    with pytest.raises(TwofoldError, match=r"group_by is '\(', but it must be a regular expression"):
        DataRecipe(group_by="(")


def test_images_without_a_label_go_with_their_group() -> None:
    """Two of each group's five have a label; training on the other three would show the encoder the tested group."""
    records = [
        Record(path=f"{row}.png", label=f"c{row // 5 % 2}" if row % 5 < 2 else None, group=f"g{row // 5}")
        for row in range(100)
    ]
    cut = assign_splits(records, DataRecipe())
    sides: dict[str | None, set[str]] = {}
    for record, split in zip(records, cut.splits, strict=True):
        sides.setdefault(record.group, set()).add(split)
    assert all(len(one) == 1 for one in sides.values())
    assert cut.splits.count("test") == 20
    assert "20 % (8 images) cut off as test by seed 0, in whole groups with their 12 images without a label" in str(
        cut.findings
    )


def test_a_cut_divides_no_group_and_without_groups_is_what_it_was(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "data", per_class=20)
    plain, grouped = load(folder), load(folder, group_by=r"/0(\d)\d\.png|/(\d)")
    assert not plain.groups
    groups: dict[str | None, set[str]] = {}
    for group, split in zip(grouped.groups, grouped.splits, strict=True):
        groups.setdefault(group, set()).add(split)
    assert all(len(splits) == 1 for splits in groups.values())
    assert "TF030" in [finding.code for finding in grouped.findings]
    assert any("cut off as test by seed 0, in whole groups; evaluation" in text for text in grouped.stated)
    assert any("cut off as test by seed 0; evaluation" in text for text in plain.stated)


def test_unreadable_files_are_set_aside_with_a_reason(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "data", per_class=20)
    whole = (folder / "bars" / "000.png").read_bytes()
    Image.new("RGB", (64, 64)).save(folder / "bars" / "cut.jpg")
    (folder / "bars" / "cut.jpg").write_bytes((folder / "bars" / "cut.jpg").read_bytes()[:300])
    (folder / "checks" / "empty.png").write_bytes(b"")
    (folder / "discs" / "text.jpg").write_text("no image")
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
    with pytest.raises(TwofoldError, match="none of 1 files"):
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
