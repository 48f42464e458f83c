"""What people call splits and missing labels; what only sounds like it."""

import pytest

from twofold.data.sources.names import is_no_label, is_unlabelled_folder, label_of, split_hinted, split_named


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("train", "train Train TRAIN training Training train_set train-images TrainSet train1 train2017 images_train"),
        ("validation", "val valid validation Validation dev eval val_set ValImages val2017"),
        ("test", "test Test testing test1 test_set TestImages test-data"),
    ],
)
def test_spellings_of_splits(split: str, names: str) -> None:
    for name in names.split():
        assert split_named(name) == split_hinted(name) == split, name


@pytest.mark.parametrize("name", ["train_station", "test_tube", "seg_train", "flowers_test"])
def test_a_name_with_other_words_is_only_a_hint(name: str) -> None:
    assert split_named(name) is None
    assert split_hinted(name) == ("train" if "train" in name else "test")


@pytest.mark.parametrize(
    "name", ["trainer", "contest", "evaluate me", "cat", "", "2019", "latest", "validator", "strain"]
)
def test_other_names_are_no_splits(name: str) -> None:
    assert split_named(name) is None
    assert split_hinted(name) is None


def test_words_for_no_label() -> None:
    assert all(map(is_no_label, ("", " ", "nan", "NaN", "None", "NULL", "N/A", "-1")))
    assert not any(map(is_no_label, ("0", "1", "no", "nothing", "unknown", "-2", "NA", "nano")))
    assert [label_of(value) for value in (None, float("nan"), -1, 0, " cat ")] == [None, None, None, "0", "cat"]


def test_folders_of_unlabelled_images() -> None:
    assert all(map(is_unlabelled_folder, ("unlabelled", "Unlabeled", "unlabeled_images", "no-labels", "unsupervised")))
    assert not any(map(is_unlabelled_folder, ("labelled", "unknown", "other", "images")))
