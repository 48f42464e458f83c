"""Odd images, leaks, and the tables of everything that was found."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from scenes import scene_thumbs
from twofold.curation import Embedded, clean_embedded, clean_pixels, nearest_others
from twofold.curation.leaks import effect_of_leaks, leaked_rows
from twofold.curation.odd_images import find_blank, find_cut_off, find_off_topic


def test_blank_and_cut_off_images_are_found_and_letterboxes_are_not() -> None:
    thumbs = scene_thumbs(6)
    thumbs[1] = 255
    thumbs[2, 20:] = 128
    thumbs[3, 20:] = 0
    thumbs[4, :12] = 128
    assert find_blank(thumbs).tolist() == [1]
    assert find_cut_off(thumbs).tolist() == [2]


def test_what_lies_far_from_all_is_off_topic() -> None:
    draw = np.random.default_rng(0)
    h = (np.eye(8)[draw.integers(0, 2, 200)] + 0.1 * draw.normal(size=(200, 8))).astype(np.float32)
    h[[7, 90]] = np.eye(8, dtype=np.float32)[[5, 6]] * 2
    found = find_off_topic(nearest_others(h, 20))
    assert set(found.rows[:2].tolist()) == {7, 90}
    assert len(found.rows) <= 4, "precision"
    assert set(found.borderline(5).tolist()) <= set(range(200))
    assert len(found.rethreshold(2.0).rows) == 0


def test_a_leak_is_in_test_with_a_copy_in_train() -> None:
    assert leaked_rows(
        [[0, 1], [2, 3], [4, 5, 6]], ["test", "test", "train", "test", "train", "train", "test"]
    ).tolist() == [
        3,
        6,
    ]


@pytest.fixture(scope="module")
def leaking() -> Embedded:
    """60 train and 40 test images whose labels are noise; the first 20 of test are in train, with their label."""
    draw = np.random.default_rng(1)
    h = draw.normal(size=(100, 16)).astype(np.float32)
    names = [str(name) for name in draw.integers(0, 2, 100)]
    h[60:80], names[60:80] = h[:20], names[:20]
    return Embedded(h=h, paths=[str(i) for i in range(100)], labels=names, splits=["train"] * 60 + ["test"] * 40)


def test_leaks_lift_the_accuracy_and_the_interval_is_paired(leaking: Embedded) -> None:
    effect = effect_of_leaks(leaking, np.arange(60, 80))
    assert effect is not None
    assert (effect.test, effect.leaked) == (40, 20)
    assert effect.accuracy > effect.accuracy_without
    assert effect.low <= effect.difference <= effect.high
    assert effect.difference == pytest.approx(effect.accuracy - effect.accuracy_without)
    assert "20 of 40" in effect.sentence()
    grouped = effect_of_leaks(dataclasses.replace(leaking, groups=np.arange(100) // 5), np.arange(60, 80))
    assert grouped is not None
    assert grouped.difference == effect.difference
    alone = effect_of_leaks(dataclasses.replace(leaking, groups=np.arange(100)), np.arange(60, 80))
    assert alone == effect, "each image a group of its own"
    assert (grouped.low, grouped.high) != (effect.low, effect.high)
    assert effect_of_leaks(leaking, np.zeros(0, np.int64)) is None
    assert effect_of_leaks(leaking, np.arange(60, 100)) is None


def test_the_tables_hold_every_finding_and_keep_one_of_each_group() -> None:
    thumbs = scene_thumbs(30)
    thumbs[29] = thumbs[3]
    thumbs[5] = 7
    splits = ["train"] * 20 + ["test"] * 10
    found = clean_pixels(thumbs, [f"{i}.png" for i in range(30)], ["a"] * 29 + ["b"], splits)
    assert found.counts() == {"copy": 1, "leak": 1, "blank": 1}
    table = found.findings_table()
    assert table["path"] == ["3.png", "29.png", "5.png"], "the copy in test stays"
    assert table["suggestion"][0] == "another label than its copy"
    keep = found.keep_table()
    assert [path for path, word in zip(keep["path"], keep["keep"], strict=True) if word == "no"] == ["3.png", "5.png"]
    assert found.rethreshold(1.0).copies.threshold == 1.0


def test_unlikely_labels_of_a_weak_encoder_are_no_suspects(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    labels = [("x", "y")[i % 2] for i in range(60)]
    h = draw.normal(size=(60, 6)).astype(np.float32)
    embedded = Embedded(h=h, paths=[str(i) for i in range(60)], labels=labels, splits=["train"] * 60)
    found = clean_embedded(scene_thumbs(60), embedded)
    kinds = {(flaw.kind, flaw.code) for flaw in found.flaws}
    assert ("unlikely label", "TF086") in kinds
    assert not {kind for kind, _ in kinds} & {"label"}
    assert found.to_csv(tmp_path / "findings.csv").read_text().count("TF086") == found.counts()["unlikely label"]


def test_embeddings_add_what_only_they_show() -> None:
    thumbs = scene_thumbs(60)
    draw = np.random.default_rng(0)
    ids = np.arange(60) % 2
    h = (np.eye(6)[ids] + 0.05 * draw.normal(size=(60, 6))).astype(np.float32)
    h[11] = h[1] * 2
    h[50] = [0, 0, 0, 0, 0, 1]
    labels: list[str | None] = [("x", "y")[i] for i in ids]
    labels[4] = "y"
    embedded = Embedded(h=h, paths=[str(i) for i in range(60)], labels=labels, splits=["train"] * 60)
    found = clean_embedded(thumbs, embedded, cosine=0.9999)
    kinds = {(flaw.kind, flaw.row) for flaw in found.flaws}
    assert {("off topic", 50), ("label", 4), ("alike", 11)} <= kinds
    assert {flaw.suggestion for flaw in found.flaws if (flaw.kind, flaw.row) == ("label", 4)} == {"x"}
