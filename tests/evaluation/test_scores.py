"""Counting against plain numpy and scikit-learn: which metrics, what mean and interval, in which order."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score

from twofold.evaluation.predictions import Predictions, rank_classes, softmax_confidence
from twofold.evaluation.scores import build_rows, score

CLASSES = 8
TRUTH = np.random.default_rng(9).integers(0, CLASSES, 60)


def _logits(seed, classes=CLASSES):
    draw = np.random.default_rng(seed)
    return (draw.normal(size=(60, classes)) + 2 * np.eye(classes)[TRUTH % classes]).astype(np.float32)


def _predictions(seed=0, protocol="linear", encoder="trained", labels="all", weights=None, classes=CLASSES):
    logits = _logits(seed, classes)
    return Predictions(
        protocol=protocol,
        encoder=encoder,
        labels=labels,
        seed=seed,
        ranked=rank_classes(logits),
        confidence=softmax_confidence(logits),
        weights=weights,
    )


def _expected(seed):
    logits = _logits(seed).astype(np.float64)
    odds = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    said, sure = odds.argmax(1), odds.max(1)
    bins = np.ceil(sure * 15)
    gaps = [abs((said == TRUTH)[bins == b].mean() - sure[bins == b].mean()) * (bins == b).mean() for b in set(bins)]
    return {
        "top1": (said == TRUTH).mean(),
        "mean_per_class": balanced_accuracy_score(TRUTH, said),
        "ece": sum(gaps),
        "top5": top_k_accuracy_score(TRUTH, odds, k=5),
    }


@pytest.mark.parametrize("seed", range(3))
def test_values_are_those_of_scikit_learn_and_of_the_definition(seed):
    (one,) = score([_predictions(seed)], TRUTH, CLASSES)
    assert one.values == pytest.approx(_expected(seed))
    np.testing.assert_array_equal(one.right, _logits(seed).argmax(1) == TRUTH)
    assert one.way == ("linear", "trained", "all")


def test_rows_hold_mean_and_students_interval_over_the_seeds():
    rows = build_rows(score([_predictions(seed) for seed in range(4)], TRUTH, CLASSES), ["all"])
    assert [row.metric for row in rows] == ["top1", "mean_per_class", "ece", "top5"]
    for row in rows:
        values = [_expected(seed)[row.metric] for seed in range(4)]
        low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
        assert (row.mean, row.low, row.high) == pytest.approx((np.mean(values), max(0, low), min(1, high)))
        assert row.seeds == 4


def test_scores_on_the_same_untrained_weights_are_averaged_first():
    attempts = [_predictions(seed, encoder="untrained", labels=5, weights=seed % 2) for seed in range(5)]
    row = build_rows(score(attempts, TRUTH, CLASSES), [5])[0]
    shares = [_expected(seed)["top1"] for seed in range(5)]
    means = [np.mean(shares[0::2]), np.mean(shares[1::2])]
    low, high = stats.t.interval(0.95, 1, loc=np.mean(means), scale=stats.sem(means))
    assert (row.seeds, row.mean) == (2, pytest.approx(np.mean(means)))
    assert (row.low, row.high) == pytest.approx((max(0, low), min(1, high)))


def test_one_seed_has_no_interval():
    rows = build_rows(score([_predictions()], TRUTH, CLASSES), ["all"])
    assert {(row.low, row.high, row.seeds) for row in rows} == {(None, None, 1)}


@pytest.mark.parametrize(("classes", "has"), [(2, False), (5, False), (6, True), (8, True)])
def test_top_5_needs_more_than_five_classes(classes, has):
    (one,) = score([_predictions(classes=classes)], TRUTH % classes, classes)
    assert ("top5" in one.values) == has
    assert {"top1", "mean_per_class", "ece"} <= one.values.keys()


def test_rows_go_by_budget_then_protocol_then_encoder():
    ways = [
        ("knn", "trained", 0.01),
        ("linear", "z", "all"),
        ("finetune", "trained", 5),
        ("linear", "pixels", "all"),
        ("knn", "trained", "all"),
        ("supervised", "untrained", 5),
        ("linear", "trained", "all"),
        ("linear", "other", "all"),
        ("sgd", "trained", "all"),
        ("linear", "untrained", "all"),
        ("linear", "trained", 5),
    ]
    attempts = [_predictions(seed, *way) for seed in range(2) for way in ways]
    rows = build_rows(score(attempts, TRUTH, CLASSES), ["all", 5, 0.01])
    assert [(row.protocol, row.encoder, row.labels) for row in rows if row.metric == "top1"] == [
        ("linear", "trained", "all"),
        ("linear", "untrained", "all"),
        ("linear", "pixels", "all"),
        ("linear", "z", "all"),
        ("linear", "other", "all"),
        ("sgd", "trained", "all"),
        ("knn", "trained", "all"),
        ("linear", "trained", 5),
        ("finetune", "trained", 5),
        ("supervised", "untrained", 5),
        ("knn", "trained", 0.01),
    ]


def test_an_answer_too_few_is_refused():
    with pytest.raises((ValueError, TypeCheckError)):  # numpy's refusal, or before it that of the shapes
        score([_predictions()], TRUTH[:-1], CLASSES)


def test_of_equal_scores_the_lower_class_comes_first():
    scores = np.array([[1.0, 3.0, 3.0, 0.0, 1.0, 3.0, -1.0]])
    assert rank_classes(scores).tolist() == [[1, 2, 5, 0, 4]]


def test_confidence_is_the_softmaxs_largest_also_far_out():
    logits = np.array([[0.0, np.log(3.0)], [1e4, 0.0], [-1e4, -1e4]], np.float32)
    np.testing.assert_allclose(softmax_confidence(logits), [0.75, 1.0, 0.5], rtol=1e-6)
