"""Counting against plain numpy and scikit-learn: which metrics, what mean and interval, in which order."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score

from twofold.evaluation.intervals import estimate
from twofold.evaluation.predictions import Predictions, rank_classes, softmax_confidence
from twofold.evaluation.scores import Sampling, build_rows, score

CLASSES = 8
TRUTH = np.random.default_rng(9).integers(0, CLASSES, 60)
SAMPLING = Sampling(truth=TRUTH, taken={5: 0.25})


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
    return {
        "top1": (said == TRUTH).mean(),
        "mean_per_class": balanced_accuracy_score(TRUTH, said),
        "overconfidence": sure.mean() - (said == TRUTH).mean(),
        "top5": top_k_accuracy_score(TRUTH, odds, k=5),
    }


@pytest.mark.parametrize("seed", range(3))
def test_values_are_those_of_scikit_learn_and_of_the_definition(seed):
    (one,) = score([_predictions(seed)], TRUTH, CLASSES)
    rows = build_rows([one], ["all"], SAMPLING)
    assert {row.metric: row.mean for row in rows} == pytest.approx(_expected(seed))
    np.testing.assert_array_equal(one.hits["top1"], _logits(seed).argmax(1) == TRUTH)
    assert one.way == ("linear", "trained", "all")


def _right(seeds):
    return np.stack([_logits(seed).argmax(1) == TRUTH for seed in seeds]).astype(float)


@pytest.mark.parametrize(("labels", "taken"), [("all", 0.0), (5, 0.25)])
def test_rows_hold_the_mean_over_the_seeds_and_the_one_interval(labels, taken):
    predictions = [_predictions(seed, labels=labels) for seed in range(4)]
    rows = {row.metric: row for row in build_rows(score(predictions, TRUTH, CLASSES), [labels], SAMPLING)}
    assert list(rows) == ["top1", "top5", "mean_per_class", "overconfidence"]
    for metric, row in rows.items():
        assert row.mean == pytest.approx(np.mean([_expected(seed)[metric] for seed in range(4)]))
        assert row.seeds == 4
    asked = {"drawn": labels != "all", "taken": taken}
    for metric, classes in (("top1", None), ("mean_per_class", TRUTH)):
        _, low, high = estimate(_right(range(4)), range(4), classes=classes, **asked).share()
        assert (rows[metric].low, rows[metric].high) == pytest.approx((low, high))
    assert rows["overconfidence"].low < rows["overconfidence"].mean < rows["overconfidence"].high
    assert rows["top1"].over == ("images" if labels == "all" else "images and draws")


def test_groups_of_test_images_widen_the_interval():
    widths = {}
    for groups in (None, np.arange(60) // 6):
        rows = build_rows(score([_predictions()], TRUTH, CLASSES), ["all"], Sampling(truth=TRUTH, groups=groups))
        _, low, high = estimate(_right([0]), [0], drawn=False, groups=groups).share()
        assert (rows[0].low, rows[0].high) == pytest.approx((low, high))
        widths[groups is None] = high - low
    assert widths[True] != widths[False]


def test_the_best_of_a_line_is_clearly_above_every_other():
    """Ten classes named by chance, by half, and always: only always is marked; two alike are never marked."""
    draw = np.random.default_rng(0)
    truth = draw.integers(0, CLASSES, 200)

    def said(encoder, share, protocol="linear"):
        logits = draw.normal(size=(200, CLASSES)).astype(np.float32)
        sure = draw.random(200) < share
        logits[np.flatnonzero(sure), truth[sure]] = 9.0
        return Predictions(
            protocol=protocol,
            encoder=encoder,
            labels="all",
            seed=0,
            ranked=rank_classes(logits),
            confidence=softmax_confidence(logits),
        )

    def best(*predictions):
        rows = build_rows(score(predictions, truth, CLASSES), ["all"], Sampling(truth=truth))
        return {(row.protocol, row.encoder) for row in rows if row.best and row.metric == "top1"}

    good, half, none = said("trained", 0.9), said("other", 0.5), said("pixels", 0.0)
    assert best(good, half, none) == {("linear", "trained")}
    assert best(good, half, none, said("another", 0.89)) == set()
    assert best(good) == set()
    assert best(good, said("z", 0.1)) == set()  # a layer of the head is no rival
    assert best(good, said("pixels", 0.1, "knn")) == set()  # nor is another protocol


def test_scores_on_the_same_untrained_weights_are_averaged_first():
    attempts = [_predictions(seed, encoder="untrained", labels=5, weights=seed % 2) for seed in range(5)]
    row = build_rows(score(attempts, TRUTH, CLASSES), [5], SAMPLING)[0]
    shares = [_expected(seed)["top1"] for seed in range(5)]
    assert (row.seeds, row.mean) == (2, pytest.approx(np.mean([np.mean(shares[0::2]), np.mean(shares[1::2])])))
    _, low, high = estimate(_right(range(5)), [0, 1, 0, 1, 0], drawn=True, taken=0.25).share()
    assert (row.low, row.high) == pytest.approx((low, high))


@pytest.mark.parametrize(
    ("changes", "has"),
    [({}, True), ({"labels": 5}, False), ({"weights": 0}, False), ({"protocol": "finetune"}, False)],
)
def test_what_was_drawn_once_has_no_interval_and_what_is_not_drawn_has_that_of_the_test_images(changes, has):
    one = _predictions(**changes)
    rows = build_rows(score([one], TRUTH, CLASSES), [one.labels], SAMPLING)
    assert {row.low is not None for row in rows} == {has}
    assert {row.seeds for row in rows} == {1}


@pytest.mark.parametrize(("classes", "has"), [(2, False), (5, False), (6, True), (8, True)])
def test_top_5_needs_more_than_five_classes(classes, has):
    (one,) = score([_predictions(classes=classes)], TRUTH % classes, classes)
    assert ("top5" in one.hits) == has
    rows = build_rows([one], ["all"], Sampling(truth=TRUTH % classes))
    assert {row.metric for row in rows} == {"top1", "mean_per_class", "overconfidence", *(["top5"] if has else [])}


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
    rows = build_rows(score(attempts, TRUTH, CLASSES), ["all", 5, 0.01], SAMPLING)
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
