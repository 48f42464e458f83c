"""The classifier equals scikit-learn's, never sees the fold it judges, and is read back as it was."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from twofold.curation import classifier as module
from twofold.curation import fit_classifier, load_classifier
from twofold.errors import TwofoldError
from twofold.evaluation.calibration import softmax
from twofold.evaluation.labels import stratified_folds

NAMES = ["a", "b", "c"]
DRAW = np.random.default_rng(0)
IDS = np.arange(60) % 3
H = (3 * DRAW.normal(size=(3, 5))[IDS] + DRAW.normal(size=(60, 5)) + 10).astype(np.float32)


def test_it_is_logistic_regression_on_standardised_features(monkeypatch: pytest.MonkeyPatch) -> None:
    choose = module.choose_decay
    chosen: list[float] = []
    monkeypatch.setattr(module, "choose_decay", lambda *a: (out := choose(*a), chosen.append(out[0]))[0])
    model = fit_classifier(H, IDS, NAMES)
    scaler = StandardScaler().fit(H)
    oracle = LogisticRegression(C=1 / (len(H) * chosen[0]), max_iter=10_000, tol=1e-8).fit(scaler.transform(H), IDS)
    expected = oracle.predict_proba(scaler.transform(H))
    np.testing.assert_allclose(softmax(H @ model.weight + model.bias), expected, atol=2e-3)


def test_a_fold_s_own_labels_change_nothing_of_its_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    folds = stratified_folds(IDS)
    monkeypatch.setattr(module, "stratified_folds", lambda _, groups: folds)
    monkeypatch.setattr(module, "FEW_L2_GRID", (1e-2,))  # what is chosen depends on all labels
    kept, cut = folds[0]
    turned = IDS.copy()
    turned[cut] = (IDS[cut] + 1) % 3
    first, second = (fit_classifier(H, ids, NAMES).held_out_logits for ids in (IDS, turned))
    np.testing.assert_array_equal(first[cut], second[cut])
    assert not np.allclose(first[kept], second[kept])


def test_the_decay_has_the_least_cross_entropy_on_folds_left_out() -> None:
    grid = (1e1, 1e-1, 1e-3)
    h = (H + 6 * np.random.default_rng(2).normal(size=H.shape)).astype(np.float32)
    l2, logits, _ = module.choose_decay(h, IDS, grid)
    losses = {}
    for strength in grid:
        p = np.zeros((60, 3))
        for kept, cut in stratified_folds(IDS):
            scaler = StandardScaler().fit(h[kept])
            oracle = LogisticRegression(C=1 / (len(kept) * strength), max_iter=10_000, tol=1e-8)
            p[cut] = oracle.fit(scaler.transform(h[kept]), IDS[kept]).predict_proba(scaler.transform(h[cut]))
        losses[strength] = -np.log(p[np.arange(60), IDS]).mean()
        if strength == l2:
            np.testing.assert_allclose(softmax(logits), p, atol=1e-2)
    assert l2 == min(losses, key=lambda strength: losses[strength])
    assert l2 not in (grid[0], grid[-1])


def test_each_fold_is_fitted_once_a_decay_and_coarsely(monkeypatch: pytest.MonkeyPatch) -> None:
    """What held a thousand labels up: the folds were fitted again after the choice, and all of them to 1e-9."""
    fit, fits = module.fit_linear, []
    monkeypatch.setattr(module, "fit_linear", lambda *a, **k: (fits.append(k.get("tolerance")), fit(*a, **k))[1])
    fit_classifier(H, IDS, NAMES)
    assert len(fits) <= 5 * len(module.FEW_L2_GRID) + 1
    assert fits.count(None) == 1


NOISE = np.random.default_rng(1).normal(size=(90, 60)).astype(np.float32)


def test_labels_without_meaning_are_not_learnt() -> None:
    model = fit_classifier(NOISE, np.arange(90) % 3, NAMES)
    assert model.right.mean() < 0.55
    assert model.answer_threshold(0.05) is None


def test_a_fold_that_is_learnt_from_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    leaking = [(np.arange(90), cut) for _, cut in stratified_folds(np.arange(90) % 3)]
    monkeypatch.setattr(module, "stratified_folds", lambda _, groups: leaking)
    with pytest.raises(AssertionError):
        test_labels_without_meaning_are_not_learnt()


def in_groups(count: int, size: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """h, classes and groups: images of a group are almost the same, and its class is by chance."""
    draw = np.random.default_rng(seed)
    groups = np.repeat(np.arange(count), size)
    h = draw.normal(size=(count, 30))[groups] + 0.01 * draw.normal(size=(len(groups), 30))
    order = draw.permutation(len(groups))
    return h[order].astype(np.float32), (np.arange(count) % 3)[groups][order], groups[order]


def test_what_is_known_of_a_group_is_not_taken_for_knowledge_of_others() -> None:
    """Pages of a stack, tiles of a slide: told by each other they would be right, and of others nothing is known."""
    h, ids, groups = in_groups(30, 8)
    fooled, honest = fit_classifier(h, ids, NAMES), fit_classifier(h, ids, NAMES, groups=groups)
    assert fooled.right.mean() > 0.95
    assert honest.right.mean() < 0.6
    assert fooled.answer_threshold(0.05) is not None
    assert honest.answer_threshold(0.05) is None
    new, _, _ = in_groups(30, 8, seed=4)
    assert (honest.novelty(new) <= 0.1).mean() < 0.2, "images of new groups are like those of others"
    assert (fooled.novelty(new) <= 0.1).mean() > 0.9
    assert honest.independent == 30


def test_a_class_with_one_group_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    groups = np.where(IDS == 2, 999, np.arange(60))
    model = fit_classifier(H, IDS, NAMES, groups=groups)
    assert "of one group each: 'c'" in capsys.readouterr().out
    np.testing.assert_array_equal(model.counted, IDS != 2)
    assert model.right[IDS != 2].mean() > 0.9
    told = fit_classifier(H, IDS, NAMES)
    assert 0.5 < model.temperature / told.temperature < 2, "what cannot be known makes nobody unsure of the rest"
    assert model.answer_threshold(0.2) is not None


def test_classes_of_one_group_each_are_refused() -> None:
    with pytest.raises(TwofoldError, match=r"each class has labelled images \(60 in all\) of one group alone"):
        fit_classifier(H, IDS, NAMES, groups=IDS.astype(np.int64))


def test_no_image_is_unlike_what_one_group_shows() -> None:
    model = dataclasses.replace(fit_classifier(H, IDS, NAMES), groups=np.zeros(60, np.int64))
    assert (model.novelty(-5 * H) == 1).all()


def test_one_group_alone_is_refused() -> None:
    with pytest.raises(TwofoldError, match="of one group alone"):
        fit_classifier(H, IDS, NAMES, groups=np.zeros(60, np.int64))


def test_groups_are_read_back(tmp_path: Path) -> None:
    h, ids, groups = in_groups(12, 3)
    model = fit_classifier(h, ids, NAMES, groups=groups)
    model.save(tmp_path / "c.safetensors", encoder="e")
    back = load_classifier(tmp_path / "c.safetensors", encoder="e")
    np.testing.assert_array_equal(back.groups, groups)
    np.testing.assert_array_equal(back.novelty(h), model.novelty(h))


def test_it_is_read_back_as_it_was(tmp_path: Path) -> None:
    model = fit_classifier(H, IDS, NAMES)
    model.save(tmp_path / "c.safetensors", encoder="e")
    back = load_classifier(tmp_path / "c.safetensors", encoder="e")
    assert (back.classes, back.temperature) == (NAMES, model.temperature)
    np.testing.assert_array_equal(back.probabilities(H), model.probabilities(H))
    np.testing.assert_array_equal(back.novelty(H), model.novelty(H))
    with pytest.raises(TwofoldError, match="fitted on another encoder"):
        load_classifier(tmp_path / "c.safetensors", encoder="other")


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("mine")
    safetensors.numpy.save_file({"x": H}, tmp_path / "other.safetensors")
    for name, words in (
        ("text", "cannot be read"),
        ("other.safetensors", "is not a classifier"),
        ("none", "cannot be"),
    ):
        with pytest.raises(TwofoldError, match=words):
            load_classifier(tmp_path / name, encoder="e")


@pytest.mark.parametrize(("ids", "names"), [([0, 0, 0], ["a"]), ([0, 0, 1], ["a", "b"])])
def test_too_few_labels_are_refused(ids: list[int], names: list[str]) -> None:
    with pytest.raises(TwofoldError, match="at least two classes with two labels each"):
        fit_classifier(H[:3], np.array(ids), names)
