"""Simulated populations: how often an interval holds the truth, and how often "beats" is said where nothing does.

In each data set two encoders that are equally good have a nearest-class-mean classifier fitted on draws of labels from
one pool, counted on one test set. The truth is what such a classifier gets on average over data sets.
"""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from twofold.evaluation import intervals
from twofold.evaluation.intervals import Estimate, estimate, mean_interval

DIMENSIONS = 4
WORLDS = 250
DRAWS = 8


@dataclass(frozen=True)
class World:
    """What was right, draws x test images, with either encoder; the share of the pool that a draw takes."""

    first: np.ndarray
    second: np.ndarray
    taken: float
    classes: np.ndarray


def _worlds(classes: int, test: int, labels: int, pool: int, prior: np.ndarray) -> list[World]:
    draw = np.random.default_rng(classes * 1000 + labels)
    means = draw.normal(size=(classes, DIMENSIONS)) * (0.8 if classes == 2 else 1.6)
    sizes = np.maximum(labels + 1, (pool * classes * prior).astype(int))
    y, starts = np.repeat(np.arange(classes), sizes), np.cumsum(sizes) - sizes
    worlds = []
    for _ in range(WORLDS):
        truth = draw.choice(classes, test, p=prior)
        given = np.stack(  # (draws, classes, labels): rows of the pool
            [
                first + draw.random((DRAWS, size)).argsort(1)[:, :labels]
                for first, size in zip(starts, sizes, strict=True)
            ],
            axis=1,
        )
        right = []
        for _encoder in range(2):
            x = means[y] + draw.normal(size=(len(y), DIMENSIONS))
            asked = means[truth] + draw.normal(size=(test, DIMENSIONS))
            centres = x[given].mean(2)  # (draws, classes, d)
            scores = asked @ centres.transpose(0, 2, 1) - (centres**2).sum(-1)[:, None] / 2  # (draws, test, classes)
            right.append((scores.argmax(-1) == truth).astype(float))
        worlds.append(World(*right, labels * classes / len(y), truth))
    return worlds


def _equal(classes: int) -> np.ndarray:
    return np.full(classes, 1 / classes)


SETTINGS = {
    "few labels": (2, 200, 10, 60, _equal(2)),
    "most of the pool": (2, 200, 50, 60, _equal(2)),
    "a small test set": (2, 60, 5, 60, _equal(2)),
    "a large test set": (2, 1000, 10, 60, _equal(2)),
    "20 classes": (20, 150, 5, 40, _equal(20)),
    "20 classes, most of the pool": (20, 150, 20, 30, _equal(20)),
    "unequal classes": (5, 200, 10, 60, np.array([8, 4, 2, 1, 1]) / 16),
}


def _new(hits: np.ndarray, world: World) -> Estimate:
    return estimate(hits, range(DRAWS), drawn=True, taken=world.taken)


def _rates(worlds: list[World], share, difference) -> tuple[float, float]:
    """(coverage of the truth, rate of differences that exclude 0)."""
    truth = np.mean([[world.first.mean(), world.second.mean()] for world in worlds])
    shares = [share(world) for world in worlds]
    differences = [difference(world) for world in worlds]
    covered = np.mean([low <= truth <= high for _, low, high in shares])
    return float(covered), float(np.mean([low > 0 or high < 0 for _, low, high in differences]))


@pytest.fixture(scope="module")
def worlds() -> dict[str, list[World]]:
    return {name: _worlds(*setting) for name, setting in SETTINGS.items()}


def test_the_interval_holds_the_truth_and_seldom_finds_a_winner_where_there_is_none(worlds):
    rates = {
        name: _rates(own, lambda w: _new(w.first, w).share(), lambda w: _new(w.first - w.second, w).difference())
        for name, own in worlds.items()
    }
    # the margin is two standard errors of a rate of 95 % over 250 data sets
    assert min(covered for covered, _ in rates.values()) > 0.93, rates
    assert 0.93 < np.mean([covered for covered, _ in rates.values()]) < 0.98, rates
    assert max(false for _, false in rates.values()) < 0.06, rates


def test_an_interval_over_the_draws_alone_fails_both(worlds):
    """What Twofold did before: Student's interval over the means of the draws."""
    for name in ("few labels", "most of the pool", "20 classes"):
        covered, false = _rates(
            worlds[name],
            lambda w: mean_interval(w.first.mean(1).tolist()),
            lambda w: mean_interval((w.first - w.second).mean(1).tolist()),
        )
        assert covered < 0.8, name
        assert false > 0.2, name


def test_without_the_share_of_the_pool_it_fails(worlds):
    own = worlds["most of the pool"]
    covered, _ = _rates(
        own,
        lambda w: estimate(w.first, range(DRAWS), drawn=True).share(),
        lambda w: estimate(w.first - w.second, range(DRAWS), drawn=True).difference(),
    )
    with_pool, _ = _rates(own, lambda w: _new(w.first, w).share(), lambda w: _new(w.first, w).difference())
    assert covered < with_pool


def test_the_mean_over_unequal_classes_is_held_too(worlds):
    own = worlds["unequal classes"]

    def mean_per_class(world: World) -> Estimate:
        return estimate(world.first, range(DRAWS), drawn=True, taken=world.taken, classes=world.classes)

    truth = np.mean([mean_per_class(world).mean for world in own])
    intervals = [mean_per_class(world).share() for world in own]
    assert 0.92 < np.mean([low <= truth <= high for _, low, high in intervals]) < 0.99


NETWORKS = [(3, 200, 0.0), (3, 1000, 0.15), (3, 5000, 0.05), (5, 400, 0.15), (10, 1000, 0.15)]


def _accuracy_of_networks(apart: float) -> float:
    """P(0.8 + normal > 0) with the variances of hardness, of a seed's luck and of its luck on an image."""
    return 0.5 + 0.5 * math.erf(0.8 / math.sqrt(2 * (1 + apart**2 + 0.25)))


def _rates_of_networks(seeds: int, test: int, apart: float, worlds: int = 1000) -> tuple[float, float]:
    """Of `seeds` trainings on all labels: images are hard for either encoder, and seeds are lucky."""
    draw, truth = np.random.default_rng(seeds * test), _accuracy_of_networks(apart)
    covered, false = [], []
    for _ in range(worlds):
        hardness = draw.normal(size=test)
        luck = apart * draw.normal(size=(2, seeds, 1)) + 0.5 * draw.normal(size=(2, seeds, test))
        first, second = (0.8 + hardness + luck > 0).astype(float)
        _, low, high = intervals.estimate(first, range(seeds), drawn=True).share()
        covered.append(low <= truth <= high)
        _, low, high = intervals.estimate(first - second, range(seeds), drawn=True).difference()
        false.append(low > 0 or high < 0)
    return float(np.mean(covered)), float(np.mean(false))


def test_networks_with_all_labels_are_held_too():
    """No pool is drawn from: other images and other seeds vary, and these may be as few as three."""
    rates = {setting: _rates_of_networks(*setting) for setting in NETWORKS}
    assert min(covered for covered, _ in rates.values()) > 0.93, rates
    assert max(false for _, false in rates.values()) < 0.06, rates


def test_satterthwaites_degrees_of_freedom_would_find_winners_among_three_seeds(monkeypatch: pytest.MonkeyPatch):
    def satterthwaite(*parts: tuple[float, float]) -> float:
        known = [(variance, freedom) for variance, freedom in parts if variance > 0]
        total = sum(variance for variance, _ in known)
        return intervals.student(total**2 / sum(variance**2 / freedom for variance, freedom in known))

    monkeypatch.setattr(intervals, "joint_reach", satterthwaite)
    covered, false = _rates_of_networks(3, 1000, 0.15)
    assert covered < 0.93
    assert false > 0.07


def test_draws_on_the_same_untrained_weights_are_not_independent():
    """Four draws of labels on each of five sets of weights: as twenty that were, they would promise too much."""
    draw, weights, each, test, apart = np.random.default_rng(0), 5, 4, 500, 0.3
    units = np.repeat(np.arange(weights), each)
    truth = _accuracy_of_networks(apart)
    rates = []
    for named in (units, np.arange(len(units))):
        covered = []
        for _ in range(500):
            hardness, own = draw.normal(size=test), apart * draw.normal(size=(weights, 1))
            noise = 0.5 * draw.normal(size=(len(units), test))
            right = (0.8 + hardness + own[units] + noise > 0).astype(float)
            _, low, high = estimate(right, named.tolist(), drawn=True).share()
            covered.append(low <= truth <= high)
        rates.append(float(np.mean(covered)))
    assert rates[0] > 0.93, rates
    assert rates[1] < 0.9, rates


SEEDS, FOLDS = 5, 5
FOLDED_WORLDS = 750  # a rate of 5 % is then known to 1.6 points
IN_FOLDS = {  # classes, labelled images, labels a class (None: all of four folds)
    "all labels, 2 classes": (2, 60, None),
    "all labels, 10 classes": (10, 150, None),
    "few labels, 2 classes": (2, 100, 10),
    "few labels, 10 classes": (10, 150, 5),
}


@dataclass(frozen=True)
class Folded:
    """What was right in a repeated cross-validation, seeds x images, with either encoder, and in which folds."""

    first: np.ndarray
    second: np.ndarray
    folds: np.ndarray
    taken: float


def _folded(classes: int, images: int, labels: int | None) -> list[Folded]:
    draw = np.random.default_rng(images + classes)
    means = draw.normal(size=(classes, DIMENSIONS)) * (0.8 if classes == 2 else 1.4)
    worlds = []
    for _ in range(FOLDED_WORLDS):
        y = np.sort(np.concatenate([np.repeat(np.arange(classes), 7), draw.choice(classes, images - 7 * classes)]))
        own = y[:, None] == np.arange(classes)  # (images, classes)
        place = np.arange(images) - (np.cumsum(own.sum(0)) - own.sum(0))[y]
        x = means[y] + draw.normal(size=(2, images, DIMENSIONS))  # of either encoder
        mixed = [np.lexsort((draw.random(images), y)) for _ in range(SEEDS)]
        folds = np.stack([place[order.argsort()] % FOLDS for order in mixed])  # (seeds, images)
        kept = folds[:, None] != np.arange(FOLDS)[:, None]  # (seeds, folds, images)
        given = own & kept[..., None]
        if labels is not None:
            lots = np.where(given, draw.random(kept.shape)[..., None], 2.0)
            given = lots <= np.partition(lots, labels - 1, axis=2)[:, :, labels - 1 : labels]
        sums = given.swapaxes(2, 3) @ x[:, None, None]  # (encoders, seeds, folds, classes, d)
        centres = sums / given.sum(2)[..., None]
        scores = x[:, None, None] @ centres.swapaxes(3, 4) - (centres**2).sum(-1)[..., None, :] / 2
        answers = scores.argmax(-1)  # (encoders, seeds, folds, images), also of images that were given
        hits = (np.take_along_axis(answers, folds[None, :, None], axis=2)[:, :, 0] == y).astype(float)
        taken = 1 - 1 / FOLDS if labels is None else labels * classes / images
        worlds.append(Folded(hits[0], hits[1], folds, taken))
    return worlds


@pytest.fixture(scope="module")
def folded() -> dict[str, list[Folded]]:
    return {name: _folded(*setting) for name, setting in IN_FOLDS.items()}


def _folded_rates(worlds: list[Folded]) -> tuple[float, float]:
    def interval(hits: np.ndarray, world: Folded) -> Estimate:
        return estimate(hits, range(SEEDS), drawn=True, taken=world.taken, folds=world.folds)

    return _rates(
        worlds, lambda w: interval(w.first, w).share(), lambda w: interval(w.first - w.second, w).difference()
    )


def test_cross_validation_holds_the_truth_and_seldom_finds_a_winner_where_there_is_none(folded):
    rates = {name: _folded_rates(own) for name, own in folded.items()}
    assert min(covered for covered, _ in rates.values()) > 0.93, rates
    assert 0.93 < np.mean([covered for covered, _ in rates.values()]) < 0.98, rates
    assert max(false for _, false in rates.values()) < 0.06, rates


def test_60_images_are_held_too():
    """Five labels of each of two classes, in a cross-validation."""
    covered, false = _folded_rates(_folded(2, 60, 5))
    assert covered > 0.93
    assert false < 0.06


def test_folds_taken_for_independent_measurements_find_winners(folded):
    """Student's interval over 25 folds, as it is often given: folds of all seeds test on the same images."""

    def interval(hits: np.ndarray, world: Folded):
        means = [hits[seed][world.folds[seed] == fold].mean() for seed in range(SEEDS) for fold in range(FOLDS)]
        return mean_interval(means)

    for name, own in folded.items():
        covered, false = _rates(own, lambda w: interval(w.first, w), lambda w: interval(w.first - w.second, w))
        assert covered < 0.8, name
        assert false > 0.2, name


def test_groups_of_like_test_images_are_held_only_where_they_are_known():
    """Groups of ten images that are right or wrong together: 0.7 of the groups are right."""
    draw = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 10)
    covered = {True: 0, False: 0}
    for _ in range(400):
        hits = np.repeat(draw.random(40) < 0.7, 10)[None].astype(float)
        for known in covered:
            _, low, high = estimate(hits, [0], drawn=False, groups=groups if known else None).share()
            assert low is not None
            assert high is not None
            covered[known] += low <= 0.7 <= high
    assert 0.92 < covered[True] / 400 < 0.98
    assert covered[False] / 400 < 0.6
