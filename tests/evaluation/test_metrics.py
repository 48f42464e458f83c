import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix

from twofold.evaluation import binomial_half_width, confusion, interval, mean_per_class, top1

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


def test_interval_is_students():
    values = [0.71, 0.74, 0.69, 0.77, 0.72]
    mean, low, high = interval(values)
    expected = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert mean == pytest.approx(np.mean(values))
    assert (low, high) == pytest.approx(expected)


def test_one_value_has_no_interval():
    assert interval([0.5]) == (0.5, None, None)


def test_the_interval_covers_the_mean_in_95_percent_of_draws():
    draw = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        _, low, high = interval(draw.normal(0.5, 0.1, 4).tolist())
        hits += low <= 0.5 <= high
    assert 930 <= hits <= 970


def test_the_interval_of_shares_ends_at_0_and_1():
    mean, low, high = interval([0.90, 0.99, 1.0])
    assert (mean + (mean - low)) > 1.0 == high
    mean, low, high = interval([0.10, 0.01, 0.0])
    assert (mean - (high - mean)) < 0.0 == low


@pytest.mark.parametrize(("right", "count"), [(30, 30), (0, 7), (700, 1000), (1, 2)])
def test_the_binomial_half_width_is_wilsons(right, count):
    expected = stats.binomtest(right, count).proportion_ci(0.95, method="wilson")
    assert binomial_half_width(right / count, count) == pytest.approx((expected.high - expected.low) / 2)
