"""Budgets of labels: nested for one seed, of the size they say, refused or left out where they cannot be."""

import itertools

import numpy as np
import pytest

from twofold.evaluation import labels as labels_module
from twofold.evaluation.labels import MeasuredRows, few_budgets, given_places, label_count

SIZES = (700, 600, 850)
IDS = np.random.default_rng(0).permutation(np.repeat(np.arange(3), SIZES))
FEW_TO_MANY = (1, 5, 0.01, 0.1, "all")  # 1 % is 6 or more of each class


def _labelled(ids=IDS, classes=("apple", "banana", "cherry")):
    return MeasuredRows(list(classes), np.arange(len(ids)) + 7, ids, np.arange(7), [])


def _nested(seed):
    places = [set(given_places(IDS, labels, seed).tolist()) for labels in FEW_TO_MANY]
    return all(few < many for few, many in itertools.pairwise(places))


@pytest.mark.parametrize("seed", range(5))
def test_few_labels_lie_within_more(seed):
    assert _nested(seed)


def test_a_draw_that_is_not_nested_would_be_seen(monkeypatch):
    real = labels_module.label_fraction
    monkeypatch.setattr(
        labels_module, "label_fraction", lambda ids, fraction, seed, groups: real(ids, fraction, seed + 1)
    )
    assert not _nested(0)


@pytest.mark.parametrize("labels", FEW_TO_MANY)
@pytest.mark.parametrize("seed", [0, 3])
def test_each_class_has_its_share(labels, seed):
    places = given_places(IDS, labels, seed)
    assert (np.diff(places) > 0).all()
    expected = {1: (1, 1, 1), 5: (5, 5, 5), 0.01: (7, 6, 8), 0.1: (70, 60, 85), "all": SIZES}[labels]
    assert np.bincount(IDS[places], minlength=3).tolist() == list(expected)


@pytest.mark.parametrize("labels", [1, 5, 0.01, 0.1])
def test_a_draw_is_a_function_of_the_seed(labels):
    first, again, other = (given_places(IDS, labels, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert first.tolist() != other.tolist()


def test_a_share_below_one_image_is_one_image():
    assert np.bincount(IDS[given_places(IDS, 1e-6, 0)]).tolist() == [1, 1, 1]


def test_counts_come_first_then_shares_each_once_and_from_few_to_many():
    few, sentences = few_budgets(_labelled(), (10, 1, 10, 5), (0.1, 1.0, 0.01, 0.1))
    assert few == [1, 5, 10, 0.01, 0.1]
    assert [type(labels) for labels in few] == [int, int, int, float, float]
    assert sentences == []


def test_counts_that_a_class_does_not_reach_are_left_out_by_its_name():
    few, sentences = few_budgets(_labelled(), (600, 601, 5000), ())
    assert few == [600]
    assert sentences == [
        "601 labels per class left out: the class 'banana' has 600 in train",
        "5000 labels per class left out: the class 'banana' has 600 in train",
    ]


def test_labels_are_counted():
    assert label_count(_labelled(), 5) == 5 * 3
    assert label_count(_labelled(), 0.01) == 7 + 6 + 8
    assert label_count(_labelled(), "all") == sum(SIZES)
