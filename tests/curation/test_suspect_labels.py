"""Suspect labels: planted ones come first; the confident joint is that of cleanlab."""

import numpy as np
import pytest

from twofold.curation import suspect_labels
from twofold.curation.suspect_labels import (
    find_suspect_labels,
    is_suspect,
    label_margin,
    out_of_fold_probabilities,
)

DRAW = np.random.default_rng(0)
TRUTH = DRAW.integers(0, 4, 400)
H = (np.eye(4)[TRUTH] * 3 + DRAW.normal(size=(400, 4))).astype(np.float32)
WRONG = DRAW.permutation(400)[:20]
GIVEN = TRUTH.copy()
GIVEN[WRONG] = (GIVEN[WRONG] + 1 + DRAW.integers(0, 3, 20)) % 4


def precision(rows: np.ndarray) -> float:
    return float(np.isin(rows, WRONG).mean())


def test_planted_labels_come_first() -> None:
    found = find_suspect_labels(H, GIVEN)
    assert precision(found.ranking[:20]) > 3 * 20 / 400
    assert precision(found.rows) > 0.5
    assert np.isin(WRONG, found.rows).mean() > 0.6
    own = {int(row): int(name) for row, name in zip(found.rows, found.suggested, strict=True)}
    right = [own[row] == TRUTH[row] for row in WRONG.tolist() if row in own]
    assert np.mean(right) > 0.8
    assert (np.diff(found.margin) >= 0).all()


def test_a_group_with_one_wrong_label_does_not_speak_for_itself() -> None:
    """All 20 images of each of 20 groups are almost the same, and three groups have the label of another class."""
    draw, groups = np.random.default_rng(5), np.repeat(np.arange(20), 20)
    truth = groups % 4
    centres = np.concatenate([3 * np.eye(4)[np.arange(20) % 4], 1.5 * np.eye(20)], axis=1)  # no group is as another
    turned = centres @ np.linalg.qr(draw.normal(size=(24, 24)))[0]
    h = (turned[groups] + 0.05 * draw.normal(size=(400, 24))).astype(np.float32)
    given = np.where(groups < 3, (truth + 1) % 4, truth)
    assert not np.isin(np.flatnonzero(groups < 3), find_suspect_labels(h, given).rows).any()
    found = find_suspect_labels(h, given, groups=groups)
    assert found.judged
    assert np.isin(np.flatnonzero(groups < 3), found.rows).all()
    assert (groups[found.rows] < 3).mean() > 0.9


def test_a_class_of_one_group_is_left_out() -> None:
    """Judged by the other groups, all of its labels would look wrong."""
    groups = np.where(TRUTH == 0, 1000, np.arange(400))
    found = find_suspect_labels(H, TRUTH, groups=groups)
    assert not (TRUTH[found.ranking] == 0).any()
    assert len(found.ranking) == (TRUTH != 0).sum()
    assert found.left_out == (TRUTH == 0).sum()
    assert f"{found.left_out} images are left out: no other group" in found.sentence()


def test_a_class_whose_groups_fall_into_one_fold_is_left_out_too() -> None:
    """Two groups that hold all of a class and much of others: where both are left out, nothing is known of it."""
    sizes = [(1, 200)] * 4 + [(2, 150)] * 4
    y = np.concatenate([*(np.full(count, name) for name, count in sizes), [0] * 5, [2] * 100, [0] * 5, [1] * 100])
    groups = np.repeat(np.arange(10), [200] * 4 + [150] * 4 + [105] * 2)
    h = (3 * np.eye(3)[y] + np.random.default_rng(0).normal(size=(len(y), 3))).astype(np.float32)
    found = find_suspect_labels(h, y, groups=groups)
    if found.left_out:
        assert not (y[found.ranking] == 0).any()
    assert (y[found.rows] == 0).sum() < 10, "its labels are right"


def test_a_weak_classifier_ranks_labels_and_judges_none() -> None:
    """With embeddings that tell classes apart badly, half of the labels would be called suspect."""
    weak = (np.eye(4)[TRUTH] + DRAW.normal(size=(400, 4))).astype(np.float32)
    p = out_of_fold_probabilities(weak, GIVEN, 4)
    assert is_suspect(p, GIVEN).mean() > 0.2
    found = find_suspect_labels(weak, GIVEN)
    assert not found.judged
    assert found.accuracy == pytest.approx((p.argmax(1) == GIVEN).mean())
    assert len(found.rows) <= 100
    assert found.rows.tolist() == found.ranking[: len(found.rows)].tolist()
    assert "ranked, not judged" in found.sentence()


def test_a_verdict_needs_more_than_guessing_the_most_frequent_class() -> None:
    """90 % are right by guessing: as right is no reason to judge labels."""
    rare = (np.arange(400) % 10 == 0).astype(np.int64)
    found = find_suspect_labels(DRAW.normal(size=(400, 3)).astype(np.float32), rare)
    assert found.accuracy > 0.8
    assert found.most_frequent == pytest.approx(0.9)
    assert not found.judged
    assert find_suspect_labels(H, GIVEN).judged


def test_ours_are_at_least_as_precise_as_those_of_cleanlab_on_the_same_probabilities() -> None:
    filters, rank = pytest.importorskip("cleanlab.filter"), pytest.importorskip("cleanlab.rank")
    p = out_of_fold_probabilities(H, GIVEN, 4)
    found, theirs = find_suspect_labels(H, GIVEN), filters.find_label_issues(GIVEN, p, n_jobs=1)
    assert precision(found.rows) >= precision(np.flatnonzero(theirs))
    for count in (10, 20, 40):
        first = np.argsort(rank.get_label_quality_scores(GIVEN, p), kind="stable")[:count]
        assert precision(found.ranking[:count]) >= precision(first) - 1 / count, "up to one image"


def test_of_very_many_images_a_part_and_five_of_each_class_are_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted, fit = [], suspect_labels.fit_linear
    monkeypatch.setattr(suspect_labels, "_FITTED", 100)
    monkeypatch.setattr(
        suspect_labels, "fit_linear", lambda x, y, *rest, **more: fitted.append(y) or fit(x, y, *rest, **more)
    )
    rare = np.where(np.arange(400) < 8, 4, GIVEN)
    p = out_of_fold_probabilities(H, rare, 5)
    assert len(fitted) == 5
    for y in fitted:
        assert 100 <= len(y) <= 125
        assert (np.bincount(y, minlength=5) >= 5).all()
    assert (p.argmax(1) == TRUTH)[8:].mean() > 0.8


def test_the_next_labels_to_look_at_are_not_among_the_suspects() -> None:
    found = find_suspect_labels(H, GIVEN)
    assert not np.isin(found.borderline(10), found.rows).any()
    assert len(found.borderline(10)) == 10


def test_probabilities_that_saw_the_label_would_hide_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folds matter: nearest to itself, every label looks right."""
    wide = np.concatenate([H, np.eye(400, dtype=np.float32) * 10], axis=1)
    honest = out_of_fold_probabilities(wide, GIVEN, 4)
    assert (label_margin(honest, GIVEN)[WRONG] < 0).mean() > 0.7
    scaling = suspect_labels.fit_scaling(wide)
    probe = suspect_labels.fit_linear(scaling(wide), GIVEN, 4, 1e-3)
    assert (probe.predict(scaling(wide)) == GIVEN).all()


def test_each_class_is_spread_evenly_over_the_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    fit, fitted = suspect_labels.fit_linear, []
    monkeypatch.setattr(suspect_labels, "fit_linear", lambda x, y, *a, **k: (fitted.append(y), fit(x, y, *a, **k))[1])
    out_of_fold_probabilities(H, TRUTH, 4)
    left_out = np.bincount(TRUTH, minlength=4) - np.stack([np.bincount(y, minlength=4) for y in fitted])
    assert len(fitted) == 5
    np.testing.assert_array_equal(left_out.sum(0), np.bincount(TRUTH, minlength=4))
    assert (np.ptp(left_out, axis=0) <= 1).all()


def test_the_confident_joint_is_that_of_cleanlab() -> None:
    cleanlab = pytest.importorskip("cleanlab.filter")
    rank = pytest.importorskip("cleanlab.rank")
    p = out_of_fold_probabilities(H, GIVEN, 4)
    theirs = cleanlab.find_label_issues(GIVEN, p, filter_by="confident_learning", n_jobs=1)
    np.testing.assert_array_equal(is_suspect(p, GIVEN), theirs)
    scores = rank.get_normalized_margin_for_each_label(GIVEN, p)
    np.testing.assert_allclose(label_margin(p, GIVEN), 2 * scores - 1, atol=1e-6)


def test_the_confident_joint_by_hand() -> None:
    p = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.8, 0.2]])
    assert is_suspect(p, np.array([0, 0, 1, 1])).tolist() == [False, False, False, True]


@pytest.mark.parametrize("ids", [np.full(9, -1), np.zeros(9, np.int64), np.array([0] * 5 + [1] * 4)])
def test_too_few_labels_have_no_suspects(ids: np.ndarray) -> None:
    found = find_suspect_labels(H[:9], ids)
    assert len(found.rows) == len(found.ranking) == 0
