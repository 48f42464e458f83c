"""Every interval against scipy, and by the share of draws that it covers."""

import numpy as np
import pytest
from scipy import stats

from twofold.evaluation import binomial_half_width, interval, signed_interval
from twofold.evaluation.uncertainty import interval_over_images, mean_of_draws, wilson_interval


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
    low, high = wilson_interval(right / count, count)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert 0.0 <= low < high <= 1.0


def test_the_signed_interval_is_students_and_not_clipped():
    values = [-0.4, 0.1, 1.2]
    mean, low, high = signed_interval(values)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert mean == pytest.approx(0.3)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert low < 0.0 < 1.0 < high
    assert interval(values)[1:] == (0.0, 1.0)
    assert signed_interval([-0.2]) == (-0.2, None, None)


def test_values_of_one_draw_count_as_one():
    pairs = [(("weights", 0), 0.2), (("weights", 1), 0.8), (("weights", 0), 0.4)]
    assert mean_of_draws(pairs) == pytest.approx([0.3, 0.8])
    assert mean_of_draws([]) == []


def test_the_interval_over_images_is_that_of_a_normal_mean():
    gains = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], 400, p=[0.1, 0.6, 0.3])
    mean, low, high = interval_over_images(gains)
    expected = stats.norm.interval(0.95, loc=gains.mean(), scale=stats.sem(gains, ddof=0))
    assert mean == pytest.approx(gains.mean())
    assert (low, high) == pytest.approx(expected, abs=1e-5)
