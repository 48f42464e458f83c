"""Metrics against scikit-learn and plain loops."""

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    recall_score,
)

from twofold.evaluation import confusion, mean_per_class, top1
from twofold.evaluation.predictions import per_class

TRUTH = np.array([0, 0, 0, 0, 0, 1, 1, 2, 2, 2])
GUESS = np.array([0, 0, 0, 1, 1, 1, 0, 0, 1, 1])  # class 2 is never predicted


def test_agree_with_scikit_learn_also_with_a_class_never_predicted():
    assert top1(TRUTH, GUESS) == pytest.approx(accuracy_score(TRUTH, GUESS))
    assert mean_per_class(TRUTH, GUESS) == pytest.approx(balanced_accuracy_score(TRUTH, GUESS))
    np.testing.assert_array_equal(confusion(TRUTH, GUESS, 3), confusion_matrix(TRUTH, GUESS))


def test_confusion_has_a_row_for_a_class_that_nowhere_occurs():
    counts = confusion(TRUTH, GUESS, 5)
    assert counts.shape == (5, 5)
    assert counts.sum() == 10
    assert counts[0, 1] == 2  # truth 0, predicted 1


def test_on_equal_classes_both_metrics_are_one():
    draw = np.random.default_rng(0)
    truth, guess = np.repeat(np.arange(5), 20), draw.integers(0, 5, 100)
    assert top1(truth, guess) == pytest.approx(mean_per_class(truth, guess))


def test_per_class_agrees_with_scikit_learn_and_is_nan_without_rows():
    draw = np.random.default_rng(0)
    truth, guess = draw.integers(0, 9, 300), draw.integers(0, 9, 300)
    guess[::2] = truth[::2]
    keep = truth != 4
    expected = recall_score(truth[keep], guess[keep], labels=np.arange(10), average=None, zero_division=np.nan)
    found = per_class(truth[keep], guess[keep], 10)
    np.testing.assert_allclose(found, expected)
    assert np.isnan(found).nonzero()[0].tolist() == [4, 9]
    assert mean_per_class(truth[keep], guess[keep]) == pytest.approx(np.nanmean(expected))


def test_per_class_is_the_recall_and_not_the_precision():
    np.testing.assert_allclose(per_class(TRUTH, GUESS, 3), [3 / 5, 1 / 2, 0.0])
