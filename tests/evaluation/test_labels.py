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


def test_a_small_class_does_not_take_a_count_from_the_rest_and_is_named():
    few, sentences = few_budgets(_labelled(), (600, 601, 5000), ())
    assert few == [600, 601]
    assert sentences == [
        "601 labels per class: up to 601 of a class, since 1 of 3 classes have fewer in train ('banana' 600)",
        "5000 labels per class: left out, since 3 of 3 classes have fewer in train "
        "('banana' 600, 'apple' 700, 'cherry' 850)",
    ]
    assert label_count(_labelled(), 601) == 600 + 601 + 601
    assert np.bincount(IDS[given_places(IDS, 601, 0)]).tolist() == [601, 600, 601]


def test_a_count_that_most_classes_do_not_reach_is_left_out():
    ids = np.repeat(np.arange(7), [3, 3, 3, 3, 9, 9, 9])
    few, (sentence,) = few_budgets(_labelled(ids, "abcdefg"), (4,), ())
    assert few == []
    assert sentence.endswith("4 of 7 classes have fewer in train ('a' 3, 'b' 3, 'c' 3, 'd' 3)")
    half = np.repeat(np.arange(6), [3, 3, 3, 9, 9, 9])
    assert few_budgets(_labelled(half, "abcdef"), (4,), ())[0] == [4]


def test_labels_are_counted():
    assert label_count(_labelled(), 5) == 5 * 3
    assert label_count(_labelled(), 0.01) == 7 + 6 + 8
    assert label_count(_labelled(), "all") == sum(SIZES)
