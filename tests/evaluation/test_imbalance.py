"""The metrics for classes of different sizes against scikit-learn, and by the case that top-1 hides."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score, roc_curve

from twofold.evaluation.imbalance import macro_f1, two_class_metrics
from twofold.evaluation.labels import is_unequal


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("digits", [1, 6])  # 1: many equal scores
def test_two_classes_agree_with_scikit_learn(seed, digits):
    draw = np.random.default_rng(seed)
    positive = draw.random(300) < 0.1
    scores = np.round(draw.normal(size=300) + positive, digits)
    found = two_class_metrics(positive, scores)
    assert found["auroc"] == pytest.approx(roc_auc_score(positive, scores))
    assert found["average_precision"] == pytest.approx(average_precision_score(positive, scores))
    false_rate, sensitivity, _ = roc_curve(positive, scores, drop_intermediate=False)
    for specificity in (90, 95, 99):
        expected = sensitivity[1 - false_rate >= specificity / 100 - 1e-12].max()
        assert found[f"sensitivity_{specificity}"] == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_macro_f1_agrees_with_scikit_learn(seed):
    draw = np.random.default_rng(seed)
    truth, predicted = draw.integers(0, 6, 200), draw.integers(0, 6, 200)
    truth[truth == 3] = 2  # a class that is named and never there
    assert macro_f1(truth, predicted) == pytest.approx(f1_score(truth, predicted, average="macro"))


def test_who_never_names_the_rare_class_is_told_apart():
    """2 % positives: naming none is 98 % right, with a sensitivity at 99 % specificity of at most its share of luck."""
    positive = np.arange(1000) < 20
    found = two_class_metrics(positive, np.zeros(1000))
    assert found == {
        "auroc": 0.5,
        "average_precision": pytest.approx(0.02),
        "sensitivity_90": 0.0,
        "sensitivity_95": 0.0,
        "sensitivity_99": 0.0,
    }


@pytest.mark.parametrize(
    ("sizes", "unequal"), [((10, 10), False), ((15, 10), False), ((16, 10), True), ((3, 0, 9), True)]
)
def test_unequal_begins_above_one_and_a_half(sizes, unequal):
    assert is_unequal(np.repeat(np.arange(len(sizes)), sizes)) is unequal
