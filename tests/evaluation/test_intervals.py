"""Every interval against scipy and against its formula written out."""

import math

import numpy as np
import pytest
from scipy import stats

from twofold.evaluation.intervals import estimate, mean_interval, wilson_interval


def _hits(n=6, m=80, seed=0, share=0.7):
    return (np.random.default_rng(seed).random((n, m)) < share).astype(float)


def test_the_variance_is_the_formula():
    hits, taken = _hits(), 0.25
    found = estimate(hits, range(6), drawn=True, taken=taken)
    of_images, of_draws = np.var(hits.mean(0), ddof=1) / 80, np.var(hits.mean(1), ddof=1)
    expected = of_images + of_draws * (1 / 6 + taken / (1 - taken))
    assert found.mean == pytest.approx(hits.mean())
    assert found.variance == pytest.approx(expected)
    draws = expected - of_images
    half = math.sqrt(stats.t.ppf(0.975, 79) ** 2 * of_images + stats.t.ppf(0.975, 5) ** 2 * draws)
    assert found.reach * math.sqrt(found.variance) == pytest.approx(half), "each part is as wide as it would be alone"


def test_one_draw_of_what_is_drawn_has_no_interval():
    hits = _hits(n=1)
    found = estimate(hits, [0], drawn=True)
    assert found.share() == found.difference() == (hits.mean(), None, None)
    assert estimate(hits, [0], drawn=False).share()[1] is not None


def test_one_fixed_result_has_the_interval_of_its_test_images():
    """A share: Wilson's. A difference: the paired t interval, with one more image of disagreement."""
    hits = _hits(n=1, m=200)
    _, low, high = estimate(hits, [0], drawn=False).share()
    expected = stats.binomtest(int(hits.sum()), 200).proportion_ci(0.95, method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-3)
    gains = hits - _hits(n=1, m=200, seed=1, share=0.5)
    mean, low, high = estimate(gains, [0], drawn=False).difference()
    half = stats.t.ppf(0.975, 199) * math.sqrt(gains.var(ddof=1) / 200 + 1 / 200**2)
    assert (mean, low, high) == pytest.approx((gains.mean(), gains.mean() - half, gains.mean() + half))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_no_interval_is_a_point(share):
    """All right or none: Wilson's interval; two classifiers that always agree: not 0 to 0."""
    hits = np.full((5, 30), share)
    _, low, high = estimate(hits, range(5), drawn=True, taken=0.5).share()
    expected = stats.binomtest(int(30 * share), 30).proportion_ci(0.95, method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.01)
    _, low, high = estimate(hits - share, range(5), drawn=True).difference()
    assert low == pytest.approx(-high)
    assert high > 1.9 / 30


def test_a_difference_stays_between_all_and_none():
    """Two draws that disagree: t with one degree of freedom reaches beyond what two shares can differ by."""
    gains = np.stack([np.full(20, 0.9), np.full(20, -0.9)])
    assert estimate(gains, range(2), drawn=True).difference() == (0.0, -1.0, 1.0)


def test_draws_of_one_unit_count_as_one():
    hits = _hits(n=6)
    found = estimate(hits, [0, 1, 2, 0, 1, 2], drawn=True)
    means = [hits[[0, 3]].mean(), hits[[1, 4]].mean(), hits[[2, 5]].mean()]
    expected = np.var(hits.mean(0), ddof=1) / 80 + np.var(means, ddof=1) / 3
    assert found.variance == pytest.approx(expected)
    assert estimate(hits, [0] * 6, drawn=True).variance is None


def test_images_of_one_group_count_as_one():
    """Every image three times, as a group: as if it were there once."""
    once = _hits(n=4, m=50)
    thrice = np.repeat(once, 3, axis=1)
    expected = estimate(once, range(4), drawn=True)
    found = estimate(thrice, range(4), drawn=True, groups=np.repeat(np.arange(50) * 7, 3))
    assert (found.mean, found.variance, found.reach, found.images) == pytest.approx(
        (expected.mean, expected.variance, expected.reach, expected.images)
    )
    assert estimate(thrice, range(4), drawn=True).variance < found.variance


def test_the_mean_over_classes_has_the_variances_of_the_classes():
    classes = np.repeat([0, 2], [90, 10])  # class 1 is not in test
    hits = _hits(n=1, m=100)
    found = estimate(hits, [0], drawn=False, classes=classes)
    parts = [hits[0, classes == label] for label in (0, 2)]
    expected = sum(part.var(ddof=0) / len(part) for part in parts) / 4
    assert found.mean == pytest.approx(np.mean([part.mean() for part in parts]))
    assert found.variance == pytest.approx(expected, rel=0.02)


def test_mean_interval_is_students():
    values = [-0.4, 0.1, 1.2]
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert mean_interval(values) == pytest.approx((0.3, expected.low, expected.high))
    assert mean_interval([-0.2]) == (-0.2, None, None)


@pytest.mark.parametrize(("right", "count"), [(30, 30), (0, 7), (700, 1000), (1, 2)])
def test_wilsons_interval(right, count):
    expected = stats.binomtest(right, count).proportion_ci(0.95, method="wilson")
    low, high = wilson_interval(right / count, count)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert 0.0 <= low < high <= 1.0
