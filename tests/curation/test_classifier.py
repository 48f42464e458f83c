"""The classifier equals scikit-learn's, never sees the fold it judges, and is read back as it was."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from twofold.curation import classifier as module
from twofold.curation import fit_classifier, load_classifier
from twofold.curation.confidence import softmax
from twofold.errors import TwofoldError
from twofold.evaluation.labels import stratified_folds

NAMES = ["a", "b", "c"]
DRAW = np.random.default_rng(0)
IDS = np.arange(60) % 3
H = (3 * DRAW.normal(size=(3, 5))[IDS] + DRAW.normal(size=(60, 5)) + 10).astype(np.float32)


def test_it_is_logistic_regression_on_standardised_features(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = module.fit_few
    chosen: list[float] = []
    monkeypatch.setattr(module, "fit_few", lambda *a, **k: (out := fit(*a, **k), chosen.append(out[1]))[0])
    model = fit_classifier(H, IDS, NAMES)
    scaler = StandardScaler().fit(H)
    oracle = LogisticRegression(C=1 / (len(H) * chosen[0]), max_iter=10_000, tol=1e-8).fit(scaler.transform(H), IDS)
    expected = oracle.predict_proba(scaler.transform(H))
    np.testing.assert_allclose(softmax(H @ model.weight + model.bias), expected, atol=2e-3)


def test_a_fold_s_own_labels_change_nothing_of_its_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    folds = stratified_folds(IDS)
    chosen = module.fit_few(H, IDS, classes=3, shots=20)
    monkeypatch.setattr(module, "stratified_folds", lambda _: folds)
    monkeypatch.setattr(module, "fit_few", lambda *_, **__: chosen)
    kept, cut = folds[0]
    turned = IDS.copy()
    turned[cut] = (IDS[cut] + 1) % 3
    first, second = (fit_classifier(H, ids, NAMES).held_out_logits for ids in (IDS, turned))
    np.testing.assert_array_equal(first[cut], second[cut])
    assert not np.allclose(first[kept], second[kept])


NOISE = np.random.default_rng(1).normal(size=(90, 60)).astype(np.float32)


def test_labels_without_meaning_are_not_learnt() -> None:
    model = fit_classifier(NOISE, np.arange(90) % 3, NAMES)
    assert model.right.mean() < 0.55
    assert model.answer_threshold(0.05) is None


def test_a_fold_that_is_learnt_from_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    leaking = [(np.arange(90), cut) for _, cut in stratified_folds(np.arange(90) % 3)]
    monkeypatch.setattr(module, "stratified_folds", lambda _: leaking)
    with pytest.raises(AssertionError):
        test_labels_without_meaning_are_not_learnt()


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
    for name, words in (("text", "cannot be read"), ("other.safetensors", "is no classifier"), ("none", "cannot be")):
        with pytest.raises(TwofoldError, match=words):
            load_classifier(tmp_path / name, encoder="e")


@pytest.mark.parametrize(("ids", "names"), [([0, 0, 0], ["a"]), ([0, 0, 1], ["a", "b"])])
def test_too_few_labels_are_refused(ids: list[int], names: list[str]) -> None:
    with pytest.raises(TwofoldError, match="at least two classes with two labels each"):
        fit_classifier(H[:3], np.array(ids), names)
