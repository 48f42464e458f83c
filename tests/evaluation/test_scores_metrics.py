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
from twofold.evaluation.scores import calibration_error

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


def _naive_calibration_error(confidence, right, bins):
    total = 0.0
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        own = [row for row, c in enumerate(confidence) if low < c <= high or (number == 0 and c == 0.0)]
        if own:
            gap = np.mean([right[row] for row in own]) - np.mean([confidence[row] for row in own])
            total += len(own) / len(confidence) * abs(gap)
    return total


@pytest.mark.parametrize("bins", [1, 2, 15])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_calibration_error_is_that_of_a_plain_loop(bins, dtype):
    draw = np.random.default_rng(bins)
    confidence = np.concatenate([draw.uniform(size=400), [0.0, 1.0, 1.0, 0.5]]).astype(dtype)
    right = draw.uniform(size=404) < confidence**2
    assert calibration_error(confidence, right, bins) == pytest.approx(
        _naive_calibration_error(confidence.tolist(), right.tolist(), bins)
    )


@pytest.mark.parametrize(
    ("confidence", "right", "error"),
    [
        ([0.8] * 5, [1, 1, 1, 1, 0], 0.0),
        ([1.0] * 4, [1, 1, 0, 0], 0.5),
        ([1.0], [1], 0.0),
        ([0.0], [1], 1.0),
        ([0.0], [0], 0.0),
        ([0.9, 0.1], [0, 1], 0.9),  # too bold and too shy do not cancel between bins
        ([0.81, 0.85], [0, 1], 0.33),  # within one, they do: |1/2 - 0.83|
        ([0.52, 0.99], [1, 0], 0.735),
    ],
)
def test_calibration_errors_with_a_known_answer(confidence, right, error):
    assert calibration_error(np.array(confidence), np.array(right, bool), bins=10) == pytest.approx(error)


def test_a_confidence_on_an_edge_is_in_the_bin_below():
    confidence, right = np.array([0.25, 0.26, 0.75, 0.76]), np.array([True, False, True, True])
    assert calibration_error(confidence, right, bins=4) == pytest.approx((0.75 + 0.26 + 0.25 + 0.24) / 4)


def test_a_float32_confidence_just_above_1_is_counted():
    above = np.nextafter(np.float32(1), np.float32(2))
    assert calibration_error(np.array([above, 0.5], np.float32), np.array([False, False])) == pytest.approx(0.75)
