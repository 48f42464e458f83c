"""Paired differences: which scores are paired, and that the interval is the one of `uncertainty`."""

import numpy as np
import pytest

from twofold.evaluation.intervals import estimate
from twofold.evaluation.scores import PAIRS, Difference, Sampling, Score, compare, difference

FINETUNED, SCRATCH = ("finetune", "trained"), ("supervised", "untrained")
LINEAR, UNTRAINED = ("linear", "trained"), ("linear", "untrained")
IMAGES = 60
SAMPLING = Sampling(truth=np.arange(IMAGES) % 3, taken={5: 0.25, 0.01: 0.01})


def _score(way, labels, seed, right, weights=None):
    return Score(
        protocol=way[0],
        encoder=way[1],
        labels=labels,
        seed=seed,
        weights=weights,
        hits={"top1": np.asarray(right, bool)},
        others={"ece": 0.3},
    )


def _rights(share, seeds=5, start=0):
    return np.random.default_rng(start).random((seeds, IMAGES)) < share


def _scores(way, labels, rights, first_seed=0):
    return [_score(way, labels, first_seed + place, right) for place, right in enumerate(rights)]


OURS, THEIRS = _rights(0.8), _rights(0.6, start=1)
GAINS = OURS.astype(float) - THEIRS


def _bounds(found):
    return (found.mean, found.low, found.high)


@pytest.mark.parametrize("labels", [0.01, 5, "all"])
def test_the_interval_is_the_one_of_the_paired_gains(labels):
    found = difference(_scores(FINETUNED, labels, OURS), _scores(SCRATCH, labels, THEIRS), SAMPLING)
    taken = SAMPLING.taken.get(labels, 0.0)
    assert _bounds(found) == pytest.approx(estimate(GAINS, range(5), drawn=True, taken=taken).difference())
    assert (found.seeds, found.over, found.metric) == (5, "images and draws", "top1")


def test_two_equal_ways_differ_by_nothing_and_not_for_sure():
    found = difference(_scores(FINETUNED, 5, OURS), _scores(SCRATCH, 5, OURS), SAMPLING)
    assert found.low < found.mean == 0.0 < found.high


def test_pairs_go_by_seed_not_by_place():
    there = difference(_scores(FINETUNED, 5, OURS), _scores(SCRATCH, 5, THEIRS)[::-1], SAMPLING)
    assert _bounds(there) == pytest.approx(estimate(GAINS, range(5), drawn=True, taken=0.25).difference())


def test_only_seeds_that_both_have_count():
    found = difference(_scores(FINETUNED, 5, OURS), _scores(SCRATCH, 5, THEIRS, first_seed=1), SAMPLING)
    gains = OURS[1:].astype(float) - THEIRS[:4]
    assert found.seeds == 4
    assert _bounds(found) == pytest.approx(estimate(gains, range(4), drawn=True, taken=0.25).difference())


def test_the_other_way_round_is_the_same_with_the_other_sign():
    first, second = _scores(FINETUNED, 5, OURS), _scores(SCRATCH, 5, THEIRS)
    there, back = difference(first, second, SAMPLING), difference(second, first, SAMPLING)
    assert there.mean > 0 > back.mean
    assert _bounds(back) == pytest.approx((-there.mean, -there.high, -there.low))
    assert (back.protocol, back.encoder, back.against_protocol, back.against_encoder) == (*SCRATCH, *FINETUNED)


@pytest.mark.parametrize(("way", "labels"), [(FINETUNED, "all"), (LINEAR, 5)])
def test_one_draw_has_no_interval(way, labels):
    found = difference(_scores(way, labels, OURS[:1]), _scores(SCRATCH, labels, THEIRS[:1]), SAMPLING)
    assert _bounds(found) == (pytest.approx(GAINS[0].mean()), None, None)
    assert found.seeds == 1


def test_differences_on_the_same_untrained_weights_are_averaged_first():
    rights = _rights(0.5, seeds=9), _rights(0.3, seeds=9, start=1)
    second = [_score(UNTRAINED, 5, seed, right, weights=seed % 3) for seed, right in enumerate(rights[1])]
    gains, units = rights[0].astype(float) - rights[1], [0, 1, 2] * 3
    expected = estimate(gains, units, drawn=True, taken=0.25)
    for first in (_scores(LINEAR, 5, rights[0]), _scores(LINEAR, 5, rights[0])[::-1]):
        found = difference(first, second, SAMPLING)
        assert found.seeds == 3
        assert _bounds(found) == pytest.approx(expected.difference())
    assert estimate(gains, range(9), drawn=True, taken=0.25).variance != pytest.approx(expected.variance)


def test_with_all_labels_two_probes_differ_by_the_test_images():
    first, second = _scores(LINEAR, "all", OURS[:1]), _scores(("linear", "pixels"), "all", THEIRS[:1])
    found = difference(first, second, SAMPLING)
    assert found.over == "images"
    assert _bounds(found) == pytest.approx(estimate(GAINS[:1], [0], drawn=False).difference())


def test_one_result_that_no_draw_changes_is_compared_with_every_draw_of_the_other():
    """k-NN with all labels: measured once on the trained encoder, once for each set of untrained weights."""
    trained = _scores(("knn", "trained"), "all", OURS[:1])
    untrained = [_score(("knn", "untrained"), "all", seed, right, weights=seed) for seed, right in enumerate(THEIRS)]
    found = difference(trained, untrained, SAMPLING)
    expected = estimate(OURS[0].astype(float) - THEIRS, range(5), drawn=True).difference()
    assert (found.seeds, found.over) == (5, "images and draws")
    assert _bounds(found) == pytest.approx(expected)
    back = difference(untrained, trained, SAMPLING)
    assert _bounds(back) == pytest.approx((-found.mean, -found.high, -found.low))


def test_the_difference_of_means_over_classes_weighs_the_classes():
    truth = np.repeat([0, 1], [50, 10])
    sampling = Sampling(truth=truth)
    first, second = _scores(LINEAR, "all", OURS[:1]), _scores(("linear", "pixels"), "all", THEIRS[:1])
    found = difference(first, second, sampling, "mean_per_class")
    assert found.metric == "mean_per_class"
    assert found.mean == pytest.approx(np.mean([GAINS[0, truth == label].mean() for label in (0, 1)]))


def _found(scores, budgets=("all", 5, 0.01)):
    return [
        (one.protocol, one.encoder, one.against_protocol, one.against_encoder, one.labels)
        for one in compare(scores, budgets, SAMPLING)
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


def test_a_difference_is_plain_json():
    found = difference(_scores(FINETUNED, 5, OURS), _scores(SCRATCH, 5, THEIRS), SAMPLING).to_dict()
    assert found["against_encoder"] == "untrained"
    assert set(found) == set(Difference.__dataclass_fields__)
