"""Picks against plain definitions, and what picking is worth where that is known."""

from itertools import combinations

import numpy as np
import pytest

from twofold.curation import (
    Embedded,
    nearest_others,
    pick_cover,
    pick_images,
    pick_typical,
    pick_uncertain,
    picking,
    simulate,
)
from twofold.errors import TwofoldError


def clustered(sizes: tuple[int, ...] = (30, 20, 10), spread: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    ids = np.repeat(np.arange(len(sizes)), sizes)
    return (np.eye(len(sizes))[ids] + spread * draw.normal(size=(len(ids), len(sizes)))).astype(np.float32), ids


def test_typical_takes_the_middle_of_each_cluster_the_largest_first() -> None:
    h, ids = clustered()
    picked = pick_typical(h, 3)
    assert ids[picked].tolist() == [0, 1, 2]
    unit = h / np.linalg.norm(h, axis=1)[:, None]
    for row in picked:
        own = np.flatnonzero(ids == ids[row])
        k = min(20, len(own) - 1)
        distance = [np.sort(np.linalg.norm(unit[own] - unit[other], axis=1))[1 : k + 1].mean() for other in own]
        assert row == own[int(np.argmin(distance))]


def test_typical_leaves_what_is_taken_and_repeats_nothing() -> None:
    h, _ = clustered()
    first = pick_typical(h, 3)
    more = pick_typical(h, 57, taken=first)
    assert len(np.unique(np.concatenate([first, more]))) == 60
    assert len(pick_typical(h, 100)) == 60


def test_cover_is_the_greedy_choice_of_most_uncovered_images() -> None:
    h, _ = clustered((8, 6, 4), spread=0.3)
    near, radius = nearest_others(h, 17), 0.1
    unit = h / np.linalg.norm(h, axis=1)[:, None]
    inside = unit @ unit.T >= 1 - radius
    covered = np.zeros(18, bool)
    for row in pick_cover(near, 4, radius=radius):
        gains = (inside & ~covered).sum(1)
        assert gains[row] == gains.max()
        covered |= inside[row]
    best = max(inside[list(some)].any(0).sum() for some in combinations(range(18), 4))
    assert covered.sum() >= (1 - 1 / np.e) * best


def test_cover_leaves_what_is_taken() -> None:
    h, _ = clustered()
    near = nearest_others(h, 50)
    first = pick_cover(near, 3)
    assert len(np.unique(np.concatenate([first, pick_cover(near, 57, taken=first)]))) == 60


def test_uncertain_has_the_smallest_margins() -> None:
    p = np.array([[0.9, 0.05, 0.05], [0.4, 0.39, 0.21], [0.5, 0.5, 0.0], [0.6, 0.3, 0.1]])
    assert pick_uncertain(p, 2, taken=np.array([2])).tolist() == [1, 3]


def test_uncertain_is_that_of_scikit_activeml() -> None:
    pool = pytest.importorskip("skactiveml.pool")
    p = np.random.default_rng(0).dirichlet(np.ones(4), 50)
    theirs = pool.uncertainty_scores(p, method="margin_sampling")
    ours = pick_uncertain(p, 50, taken=np.zeros(0, np.int64))
    np.testing.assert_array_equal(ours, np.argsort(-theirs, kind="stable"))


def embedded(**changed: object) -> Embedded:
    h, ids = clustered((40, 40, 40), spread=0.5)
    order = np.random.default_rng(1).permutation(120)
    rows = {
        "h": h[order],
        "paths": [f"{i}.png" for i in range(120)],
        "labels": [("x", "y", "z")[i] for i in ids[order]],
        "splits": ["train"] * 80 + ["test"] * 40,
    }
    return Embedded(**{**rows, **changed})


def test_suggestions_come_with_labels() -> None:
    images = embedded()
    labels = [label if row < 30 else None for row, label in enumerate(images.labels)]
    picks = pick_images(images, 40, method="uncertain", labels=labels)
    assert picks.rows.min() >= 30
    right = [picks.suggestions[i] == images.labels[row] for i, row in enumerate(picks.rows.tolist())]
    assert np.mean(right) > 0.4, "better than chance, where it is least sure"
    assert all(1 / 3 <= p <= 1 for p in picks.probabilities)
    assert pick_images(images, 5).suggestions == [None] * 5


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"method": "typcal"}, "did you mean 'typical'"),
        ({"method": "uncertain"}, "needs labels of at least two classes, and there are 0"),
    ],
)
def test_what_cannot_be_picked_is_refused(given: dict[str, str], words: str) -> None:
    with pytest.raises(TwofoldError, match=words):
        pick_images(embedded(), 5, **given)
    with pytest.raises(TwofoldError, match="count is 0"):
        pick_images(embedded(), 0)


def test_typical_picks_are_worth_more_than_random_ones_where_clusters_are_classes() -> None:
    h, ids = clustered((300, 30, 30), spread=0.15)
    order = np.random.default_rng(1).permutation(360)
    images = Embedded(
        h=h[order],
        paths=[str(i) for i in range(360)],
        labels=[str(i) for i in ids[order]],
        splits=["train"] * 240 + ["test"] * 120,
    )
    one, *_ = simulate(images, per_class=(1, 2), draws=6)
    assert (one.labels, one.per_class) == (3, 1)
    assert one.low > 0
    assert one.low <= one.difference <= one.high
    assert "3 picked labels" in one.sentence()


def test_random_against_random_is_worth_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = picking._picked
    monkeypatch.setattr(
        picking, "_picked", lambda own, b, m, seed: whole(own, b, "random", seed + 99 * (m != "random"))
    )
    for worth in simulate(embedded(), per_class=(1, 2), draws=8):
        assert worth.low < 0 < worth.high


def test_the_interval_covers_other_test_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Picks that name the same 6 of 40 test images better in each draw: draws alone would leave no doubt."""
    images = embedded(splits=["train"] * 80 + ["test"] * 40)

    picks = iter([True, False] * 6)
    monkeypatch.setattr(picking, "_right", lambda own, rows, h, *_: np.arange(len(h)) < (26 if next(picks) else 20))
    (worth,) = simulate(images, per_class=(1,), draws=6)
    spread = np.var([1.0] * 6 + [0.0] * 34, ddof=1) / 40
    half = 2.0227 * np.sqrt(spread + 1 / 40**2)  # t of 39 degrees of freedom; one more image of disagreement
    assert worth.difference == pytest.approx(0.15)
    assert (worth.low, worth.high) == pytest.approx((0.15 - half, 0.15 + half), abs=1e-4)


def test_one_draw_has_no_interval() -> None:
    (worth,) = simulate(embedded(), per_class=(1,), draws=1)
    assert (worth.low, worth.high) == (None, None)
    assert "(one draw, no interval)" in worth.sentence()


def test_simulating_needs_labels() -> None:
    with pytest.raises(TwofoldError, match="--simulate needs images with labels"):
        simulate(embedded(labels=[None] * 120))
