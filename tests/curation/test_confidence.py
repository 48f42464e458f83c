"""Claims about error rates hold on images that were held out, within their binomial error."""

import functools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from twofold.curation.answers import UNLIKE, Answers, answer
from twofold.curation.classifier import Classifier, fit_classifier
from twofold.curation.confidence import answer_threshold, p_values, set_threshold
from twofold.evaluation.calibration import fit_temperature

NAMES = ["a", "b", "c"]
CENTRES = np.random.default_rng(7).normal(size=(3, 6)) * 1.2
DRAWS, TESTED = 12, 400


def made_up(draw: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """h (count, 6) of three classes that overlap, and their classes."""
    ids = draw.integers(0, 3, count)
    return (CENTRES[ids] + draw.normal(size=(count, 6))).astype(np.float32), ids


@functools.cache
def fitted(count: int) -> list[tuple[Classifier, np.ndarray, np.ndarray]]:
    """Of each draw a classifier, and images that it never saw."""
    draws = [np.random.default_rng(seed) for seed in range(DRAWS)]
    return [(fit_classifier(*made_up(draw, count), NAMES), *made_up(draw, TESTED)) for draw in draws]


def each_draw(count: int, measure: Callable[[Classifier, np.ndarray, np.ndarray], tuple[int, int]]) -> tuple[int, int]:
    """Summed over draws: what `measure` counts on the images that no classifier saw, and among how many."""
    counts = [measure(*one) for one in fitted(count)]
    return sum(hits for hits, _ in counts), sum(total for _, total in counts)


def error(share: float, count: int, labelled: int) -> float:
    """Three standard errors: binomial on the tested images, and on the labelled ones of each draw."""
    return 3 * float(np.sqrt(share * (1 - share) * (1 / count + 1 / (labelled * DRAWS))))


@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_sets_hold_the_true_class_as_often_as_they_say(coverage: float) -> None:
    def covered(classifier: Classifier, h: np.ndarray, ids: np.ndarray) -> tuple[int, int]:
        sets = classifier.probabilities(h) >= classifier.set_threshold(coverage)
        return int(sets[np.arange(len(ids)), ids].sum()), len(ids)

    hits, count = each_draw(120, covered)
    assert hits / count >= coverage - error(coverage, count, 120)
    assert hits / count <= coverage + 0.04, "sets are not larger than they need to be"


@pytest.mark.parametrize("flagged", [0.05, 0.2])
def test_no_more_ordinary_images_are_flagged_than_it_says(flagged: float) -> None:
    def strange(classifier: Classifier, h: np.ndarray, ids: np.ndarray) -> tuple[int, int]:
        return int((classifier.novelty(h) <= flagged).sum()), len(ids)

    hits, count = each_draw(120, strange)
    assert hits / count <= flagged + error(flagged, count, 120)
    assert hits / count >= flagged / 3, "it flags something"


@pytest.mark.parametrize("most_wrong", [0.05, 0.15])
def test_abstention_keeps_its_promise(most_wrong: float) -> None:
    def wrong(classifier: Classifier, h: np.ndarray, ids: np.ndarray) -> tuple[int, int]:
        threshold = classifier.answer_threshold(most_wrong)
        p = classifier.probabilities(h)
        own = p.max(1) >= (np.inf if threshold is None else threshold)
        return int((p[own].argmax(1) != ids[own]).sum()), int(own.sum())

    misses, answered_in_all = each_draw(120, wrong)
    assert answered_in_all > 0.15 * DRAWS * TESTED, "it answers"
    assert misses / answered_in_all <= most_wrong + error(most_wrong, answered_in_all, 120)


@pytest.mark.parametrize("seed", range(5))
def test_a_group_of_equal_images_counts_as_one(seed: int) -> None:
    """Each image four times over, as a group, says as much as once; without groups it would say more."""
    draw = np.random.default_rng(seed)
    p = draw.dirichlet(np.full(3, 0.3), size=60)
    ids, scores = draw.integers(0, 3, 60), draw.normal(size=60)
    ids = np.where(draw.random(60) < 0.9, p.argmax(1), ids)
    confidence, right = p.max(1), p.argmax(1) == ids
    order = draw.permutation(240)
    again = [np.repeat(one, 4, axis=0)[order] for one in (p, ids, scores, confidence, right, np.arange(60))]
    p4, ids4, scores4, confidence4, right4, groups = again
    asked = np.linspace(-2, 2, 9)
    np.testing.assert_allclose(p_values(asked, scores4, groups), p_values(asked, scores))
    assert (p_values(asked, scores4) < p_values(asked, scores))[-1]
    one, four = fit_temperature(np.log(p), ids), fit_temperature(np.log(p4), ids4, count=60.0)
    assert four == pytest.approx(one, rel=1e-4)
    assert fit_temperature(np.log(p4), ids4) != pytest.approx(one, rel=1e-4)
    for share in (0.05, 0.1, 0.3):
        assert set_threshold(p4, ids4, 1 - share, groups) == set_threshold(p, ids, 1 - share)
        assert answer_threshold(confidence4, right4, share, groups) == answer_threshold(confidence, right, share)
    assert answer_threshold(confidence4, np.ones(240, bool), 0.03, groups) is None, "0.97 ** 60 > 0.1"
    assert answer_threshold(confidence4, np.ones(240, bool), 0.03) is not None, "0.97 ** 240 < 0.1"


def test_every_image_a_group_of_its_own_changes_nothing() -> None:
    draw = np.random.default_rng(0)
    p, ids = draw.dirichlet(np.full(3, 0.3), size=60), draw.integers(0, 3, 60)
    own, right = np.arange(60), draw.random(60) < 0.95
    assert answer_threshold(p.max(1), right, 0.1, own) == answer_threshold(p.max(1), right, 0.1)
    assert set_threshold(p, ids, 0.9, own) == set_threshold(p, ids, 0.9)
    np.testing.assert_array_equal(p_values(p[:, 0], p[:, 1], own), p_values(p[:, 0], p[:, 1]))


def test_a_broken_promise_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twofold.curation.classifier.answer_threshold", lambda *_: 0.0)
    with pytest.raises(AssertionError):
        test_abstention_keeps_its_promise(0.05)


def test_the_expected_accuracy_holds_the_true_one() -> None:
    draw = np.random.default_rng(3)
    h, ids = made_up(draw, 150)
    classifier = fit_classifier(h, ids, NAMES)
    tested, truth = made_up(draw, 2000)
    answers = answer(tested, [str(i) for i in range(2000)], classifier)
    _, low, high, count = answers.expected["all"]
    assert count == 150
    assert low <= (answers.ranked[:, 0] == truth).mean() <= high


def share_that_answers(right_share: float, most_wrong: float, labelled: int = 60) -> float:
    """Of draws whose confidence says nothing of what is right, so that each answer is wrong with 1 - right_share."""
    draw = np.random.default_rng(0)
    found = [
        answer_threshold(draw.random(labelled), draw.random(labelled) < right_share, most_wrong) for _ in range(400)
    ]
    return float(np.mean([threshold is not None for threshold in found]))


@pytest.mark.parametrize(("right_share", "most_wrong"), [(0.6, 0.2), (0.85, 0.05), (0.5, 0.3)])
def test_a_promise_that_cannot_be_kept_is_seldom_made(right_share: float, most_wrong: float) -> None:
    assert share_that_answers(right_share, most_wrong) <= 0.1


def test_a_promise_about_the_mean_alone_would_often_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    mean = lambda right, wrong_and_1, share: wrong_and_1 / (right + wrong_and_1) - (1 - share) + 0.1  # noqa: E731
    monkeypatch.setattr("scipy.special.betainc", mean)
    assert share_that_answers(0.5, 0.3) > 0.2


def test_p_values_count() -> None:
    assert p_values(np.array([0.0, 2.0, 2.5, 9.0]), np.array([1.0, 2.0, 3.0])).tolist() == [1, 0.75, 0.5, 0.25]


def test_sets_of_too_few_images_hold_everything() -> None:
    p, y = np.array([[0.9, 0.1]] * 8), np.zeros(8, int)
    assert set_threshold(p, y, 0.95) == 0
    assert set_threshold(p, y, 0.8) == 0.9


def chance(wrong: int, answered: int, share: float) -> float:
    """Of at most so many wrong ones, by adding them up."""
    return sum(math.comb(answered, k) * share**k * (1 - share) ** (answered - k) for k in range(wrong + 1))


def test_the_threshold_is_the_lowest_that_keeps_the_promise() -> None:
    confidence, right = np.linspace(0.99, 0.5, 50), np.ones(50, bool)
    assert answer_threshold(confidence, right, 0.05) == 0.5
    right[25:] = False
    found = answer_threshold(confidence, right, 0.1)
    assert found is not None
    own = confidence >= found
    assert (int(own.sum()), int((~right[own]).sum())) == (25, 0)
    assert chance(0, 25, 0.1) <= 0.1 < chance(1, 26, 0.1)
    assert answer_threshold(confidence[:10], right[:10], 0.05) is None
    assert answer_threshold(np.full(50, 0.9), right, 0.1) is None, "equals are answered together"


def answers() -> Answers:
    draw = np.random.default_rng(5)
    h, ids = made_up(draw, 150)
    new = np.vstack([made_up(draw, 30)[0], -20 * CENTRES.sum(0, keepdims=True)]).astype(np.float32)
    every = np.vstack([h, new])
    return answer(every, [f"{i}.png" for i in range(181)], fit_classifier(h, ids, NAMES), labelled_rows=np.arange(150))


def test_what_is_unlike_all_is_named_and_unsure_ones_come_first() -> None:
    told = answers()
    assert told.decisions[-1] == UNLIKE
    rows = told.unsure(5)
    assert (rows >= 150).all()
    best = told.probabilities.max(1)
    assert (np.diff(best[rows]) >= 0).all()
    assert told.rethreshold(0.5).decisions.count("label") > told.decisions.count("label")
    assert all(told.sets(0.99)[row] for row in range(181))


def test_borderline_rows_lie_around_the_least_confidence_that_is_answered(tmp_path: Path) -> None:
    told = answers().rethreshold(0.2)
    threshold = told.classifier.answer_threshold(0.2)
    assert threshold is not None
    best, rows = told.probabilities.max(1), told.borderline(7)
    others = np.setdiff1d(np.arange(150, 181), rows)
    assert len(rows) == 7
    assert (rows >= 150).all()
    assert np.abs(best[rows] - threshold).max() <= np.abs(best[others] - threshold).min()
    assert (np.diff(best[rows]) <= 0).all()
    assert len(told.rethreshold(1e-6).borderline()) == 0
    assert told.to_csv(tmp_path / "a.csv").read_text().count("\n") == 182


def test_labelled_images_are_judged_without_their_own_label() -> None:
    told = answers()
    np.testing.assert_array_equal(told.probabilities[:150], told.classifier.held_out)
    assert told.given[150:] == [None] * 31
    assert [NAMES.index(str(name)) for name in told.given[:150]] == told.classifier.ids.tolist()
