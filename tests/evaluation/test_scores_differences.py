"""Paired differences against scipy's paired t-test and formulas written out."""

import math

import numpy as np
import pytest
from scipy import stats

from twofold.evaluation.scores import PAIRS, Difference, Score, compare, difference

FINETUNED, SCRATCH = ("finetune", "trained"), ("supervised", "untrained")


def _score(way, labels, seed, top1=None, right=None, weights=None):
    right = np.ones(4, bool) if right is None else np.asarray(right, bool)
    top1 = float(right.mean()) if top1 is None else top1
    return Score(
        protocol=way[0],
        encoder=way[1],
        labels=labels,
        seed=seed,
        weights=weights,
        values={"top1": top1, "ece": 0.3},
        right=right,
    )


def _scores(way, labels, shares, first_seed=0):
    return [_score(way, labels, first_seed + place, share) for place, share in enumerate(shares)]


OURS, THEIRS = [0.71, 0.74, 0.69, 0.77, 0.72], [0.66, 0.70, 0.68, 0.71, 0.69]


@pytest.mark.parametrize("labels", [0.01, 5, "all"])
def test_the_interval_is_that_of_the_paired_t_test(labels):
    found = difference(_scores(FINETUNED, labels, OURS), _scores(SCRATCH, labels, THEIRS))
    expected = stats.ttest_rel(OURS, THEIRS).confidence_interval(0.95)
    assert found.mean == pytest.approx(np.mean(OURS) - np.mean(THEIRS))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.seeds, found.over, found.metric) == (5, "seeds", "top1")


def test_pairs_go_by_seed_not_by_place():
    theirs = _scores(SCRATCH, 5, THEIRS)[::-1]
    found = difference(_scores(FINETUNED, 5, OURS), theirs)
    expected = stats.ttest_rel(OURS, THEIRS).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_only_seeds_that_both_have_count():
    found = difference(_scores(FINETUNED, 5, [*OURS, 0.1]), _scores(SCRATCH, 5, [*THEIRS, 0.0, 1.0, 0.5], first_seed=1))
    ours, theirs = [*OURS, 0.1][1:], THEIRS[:5]
    expected = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert (found.seeds, found.mean) == (5, pytest.approx(np.mean(np.subtract(ours, theirs))))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_the_other_way_round_is_the_same_with_the_other_sign():
    first, second = _scores(FINETUNED, 5, OURS), _scores(SCRATCH, 5, THEIRS)
    there, back = difference(first, second), difference(second, first)
    assert there.mean > 0 > back.mean
    assert (back.mean, back.low, back.high) == pytest.approx((-there.mean, -there.high, -there.low))
    assert (back.protocol, back.encoder, back.against_protocol, back.against_encoder) == (*SCRATCH, *FINETUNED)


def test_an_interval_may_lie_beyond_0_and_is_not_cut_off():
    found = difference(_scores(FINETUNED, 5, [0.9, 1.0]), _scores(SCRATCH, 5, [0.0, 0.9]))
    assert found.low < -1
    assert found.high > 1


def test_one_seed_has_no_interval():
    found = difference(_scores(FINETUNED, 5, [0.9]), _scores(SCRATCH, 5, [0.5]))
    assert (found.mean, found.low, found.high, found.seeds) == (pytest.approx(0.4), None, None, 1)


def test_differences_on_the_same_untrained_weights_are_averaged_first():
    draw = np.random.default_rng(0)
    ours, theirs = draw.random(9), draw.random(9)
    linear, untrained = ("linear", "trained"), ("linear", "untrained")
    second = [_score(untrained, 5, seed, share, weights=seed % 3) for seed, share in enumerate(theirs)]
    means = [np.mean((ours - theirs)[weights::3]) for weights in range(3)]
    expected = stats.t.interval(0.95, 2, loc=np.mean(means), scale=stats.sem(means))
    for found in (
        difference(_scores(linear, 5, ours), second),
        difference([_score(linear, 5, seed, share) for seed, share in enumerate(ours)][::-1], second),
    ):
        assert found.seeds == 3
        assert found.mean == pytest.approx(np.mean(means))
        assert (found.low, found.high) == pytest.approx(expected)


def test_taking_them_for_independent_would_be_seen():
    shares = [0.1, 0.5, 0.1, 0.5]
    second = [_score(("linear", "untrained"), 5, seed, share, weights=seed % 2) for seed, share in enumerate(shares)]
    found = difference(_scores(("linear", "trained"), 5, [0.9] * 4), second)
    naive = stats.ttest_rel([0.9] * 4, shares).confidence_interval(0.95)
    assert found.high - found.low > 2 * (naive.high - naive.low)


def test_with_all_labels_two_probes_differ_by_the_test_pictures():
    draw = np.random.default_rng(0)
    rights = draw.random((2, 3, 400)) < np.array([0.8, 0.6])[:, None, None]
    first = [_score(("linear", "trained"), "all", seed, right=right) for seed, right in enumerate(rights[0])]
    second = [_score(("linear", "pixels"), "all", seed, right=right) for seed, right in enumerate(rights[1])]
    found = difference(first, second)
    gains = rights[0].mean(0) - rights[1].mean(0)
    half = 1.96 * math.sqrt(((gains - gains.mean()) ** 2).sum() / 400) / math.sqrt(400)
    assert found.over == "pictures"
    assert (found.mean, found.low, found.high) == pytest.approx(
        (gains.mean(), gains.mean() - half, gains.mean() + half)
    )
    assert found.mean == pytest.approx(rights[0].mean() - rights[1].mean())


def test_that_interval_is_there_for_one_seed_and_is_mcnemars():
    """One seed: the variance of a difference of two shares on the same pictures, by the two kinds of disagreement."""
    first = [_score(("linear", "trained"), "all", 0, right=[1, 1, 1, 1, 0, 0, 1, 1, 1, 0])]
    second = [_score(("linear", "z"), "all", 0, right=[1, 0, 0, 1, 1, 0, 0, 1, 1, 0])]
    found = difference(first, second)
    gained, lost, n = 3, 1, 10
    half = 1.96 * math.sqrt(gained + lost - (gained - lost) ** 2 / n) / n
    assert (found.mean, found.low, found.high) == pytest.approx((0.2, 0.2 - half, 0.2 + half))


@pytest.mark.parametrize("labels", [0.1, 5])
def test_with_few_labels_two_probes_differ_by_the_draws(labels):
    found = difference(_scores(("linear", "trained"), labels, OURS), _scores(("linear", "pixels"), labels, THEIRS))
    assert found.over == "seeds"


def _found(scores, budgets=("all", 5, 0.01)):
    return [
        (one.protocol, one.encoder, one.against_protocol, one.against_encoder, one.labels)
        for one in compare(scores, budgets)
    ]


def test_only_pairs_that_both_exist_are_compared():
    scores = [
        *_scores(FINETUNED, 5, OURS),
        *_scores(FINETUNED, 0.01, OURS),
        *_scores(SCRATCH, 0.01, THEIRS),
        *_scores(SCRATCH, "all", THEIRS),
        *_scores(("knn", "trained"), 5, OURS),
    ]
    assert _found(scores) == [(*FINETUNED, *SCRATCH, 0.01)]
    assert _found(scores[:5]) == []
    assert _found([]) == []


def test_each_pair_goes_through_the_budgets_in_their_order():
    every = {way for pair in PAIRS for way in pair}
    scores = [one for way in every for labels in (0.01, "all", 5) for one in _scores(way, labels, OURS)]
    assert _found(scores) == [(*first, *second, labels) for first, second in PAIRS for labels in ("all", 5, 0.01)]


def test_h_is_compared_with_every_layer_of_the_head():
    layers = ("trained", "z", "head-1", "head-2")
    scores = [one for layer in layers for one in _scores(("linear", layer), "all", OURS)]
    assert _found(scores) == [("linear", "trained", "linear", layer, "all") for layer in ("head-1", "head-2", "z")]


def _difference(mean, low=None, high=None, **changes):
    values = {
        "protocol": "finetune",
        "encoder": "trained",
        "against_protocol": "supervised",
        "against_encoder": "untrained",
        "labels": 0.01,
        "seeds": 5,
        "over": "seeds",
    }
    return Difference(mean=mean, low=low, high=high, **values | changes)


def test_a_difference_is_plain_json():
    found = _difference(0.1, 0.0, 0.2).to_dict()
    assert found["against_encoder"] == "untrained"
    assert set(found) == set(Difference.__dataclass_fields__)
