"""Folders that wrap, splits and classes: laws that hold for whatever lies below. Examples are in the corpus."""

import itertools

import pytest

from twofold.data.sources import layout
from twofold.data.sources.layout import read_layout

Meaning = dict[str, tuple[str | None, str | None]]


def meaning(paths: list[str]) -> Meaning:
    return {record.path: (record.label, record.split) for record in read_layout(paths).records}


NAMES = ("cat", "dog", "eel", "fox")
PLAIN = [f"{label}/{number}.png" for label in ("cat", "dog") for number in range(12)]
SPLIT = [f"{split}/{path}" for split in ("train", "test") for path in PLAIN]


@pytest.mark.parametrize("paths", [PLAIN, SPLIT])
@pytest.mark.parametrize("wrapping", ["archive", "a/b/c", "Data Set (1)", "2021"])
def test_a_folder_around_all_changes_nothing(paths: list[str], wrapping: str) -> None:
    wrapped = meaning([f"{wrapping}/{path}" for path in paths])
    assert {path.removeprefix(f"{wrapping}/"): what for path, what in wrapped.items()} == meaning(paths)


@pytest.mark.parametrize(
    ("paths", "stray"),
    [
        (PLAIN, "x.png"),
        (SPLIT, "x.png"),
        (SPLIT, "train/x.png"),
        ([f"archive/{path}" for path in SPLIT], "x.png"),
        ([f"archive/{path}" for path in SPLIT], "archive/x.png"),
    ],
)
def test_one_image_beside_changes_nothing_of_the_rest(paths: list[str], stray: str) -> None:
    with_stray = meaning([*paths, stray])
    assert {path: with_stray[path] for path in paths} == meaning(paths)
    assert with_stray[stray][0] is None


def test_a_stray_counts_where_no_strays_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above would fail without the rule for strays."""
    monkeypatch.setattr(layout, "_STRAY", 0.0)
    paths = [f"archive/{path}" for path in SPLIT]
    assert meaning([*paths, "x.png"])[paths[0]] != meaning(paths)[paths[0]]


def test_the_order_of_the_paths_does_not_matter() -> None:
    paths = [*SPLIT, "x.png", "extra/cat/0.png", "test/eel/0.png"]
    assert meaning(paths) == meaning(paths[::-1])


def test_an_unlabelled_test_folder_costs_nobody_a_label() -> None:
    train = [f"train/{path}" for path in PLAIN]
    for test in ("test/1.png", "test1/test1/1.png", "test/images/1.png", "test/unknown/1.png"):
        read = meaning([*train, test])
        assert {path: read[path] for path in train} == meaning(train)
        assert read[test] == (None, "test")


@pytest.mark.parametrize(("a", "b"), list(itertools.combinations(NAMES, 2)))
def test_splits_need_not_have_the_same_classes(a: str, b: str) -> None:
    read = meaning([*(f"train/{name}/0.png" for name in NAMES), f"test/{a}/0.png", f"test/{b}/0.png"])
    assert read[f"test/{a}/0.png"] == (a, "test")
    assert read[f"test/{b}/0.png"] == (b, "test")


def test_a_split_of_one_class_keeps_its_label() -> None:
    read = meaning(["train/cat/0.png", "train/dog/0.png", "test/cat/0.png", "test/cat/1.png"])
    assert read["test/cat/0.png"] == ("cat", "test")
