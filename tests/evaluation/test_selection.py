import numpy as np
import pytest

from twofold.evaluation import choose_l2, fit_linear, fit_scaling, selection
from twofold.evaluation.linear import cross_entropy
from twofold.evaluation.selection import FEW_SHOT_L2, L2_GRID, fit_few, stratified_folds


def _clusters(n=400, d=60, classes=4, spread=0.3, seed=0):
    draw = np.random.default_rng(seed)
    y = draw.permutation(np.arange(n) % classes)
    x = spread * draw.normal(size=(classes, d))[y] + draw.normal(size=(n, d))
    return fit_scaling(x.astype(np.float32))(x.astype(np.float32)), y


@pytest.mark.parametrize("seed", range(4))
def test_the_chosen_value_gets_most_right_on_the_cut(seed):
    x, y = _clusters(seed=seed)
    kept, cut = np.arange(0, 100), np.arange(100, 400)
    chosen = choose_l2(x, y, classes=4, folds=[(kept, cut)])
    right = {l2: int((fit_linear(x[kept], y[kept], 4, l2).predict(x[cut]) == y[cut]).sum()) for l2 in L2_GRID}
    assert right[chosen.l2] >= max(right.values()) - 2  # cold fits end within rounding of the warm ones


def test_the_start_is_the_first_folds_probe_at_the_chosen_value():
    x, y = _clusters()
    kept = np.arange(100)
    choice = choose_l2(x, y, classes=4, folds=[(kept, np.arange(100, 250)), (np.arange(200), np.arange(250, 400))])
    direct = fit_linear(x[kept], y[kept], 4, choice.l2)
    assert (choice.start.predict(x) == direct.predict(x)).mean() >= 0.99


def test_the_choice_depends_on_the_cut_alone():
    x, y = _clusters()
    folds = [(np.arange(100), np.arange(100, 200))]
    chosen = choose_l2(x, y, classes=4, folds=folds).l2
    x[200:], y[200:] = 1e6, 0
    assert choose_l2(x, y, classes=4, folds=folds).l2 == chosen


def test_of_equally_many_right_the_surer_is_chosen():
    x = np.array([[-1.0], [1.0]] * 20, np.float32)
    y = np.array([0, 1] * 20)
    folds = [(np.arange(20), np.arange(20, 40))]
    assert choose_l2(x, y, classes=2, folds=folds, grid=(10.0, 0.1, 1e-3)).l2 == 1e-3


def test_folds_are_disjoint_stratified_and_whole():
    y = np.repeat(np.arange(3), 7)
    folds = stratified_folds(y)
    np.testing.assert_array_equal(np.sort(np.concatenate([cut for _, cut in folds])), np.arange(21))
    for kept, cut in folds:
        assert not set(kept) & set(cut)
        assert len(kept) + len(cut) == 21
        counts = np.bincount(y[cut], minlength=3)
        assert counts.max() - counts.min() == 0


@pytest.mark.parametrize("shots", [1, 4, 5, 10])
def test_the_space_of_the_rows_gives_the_same_probe_as_all_features(shots):
    x, y = _clusters(d=300)
    own = np.concatenate([np.flatnonzero(y == c)[:shots] for c in range(4)])
    probe, l2 = fit_few(x[own], y[own], classes=4, shots=shots)
    direct = fit_linear(x[own], y[own], 4, l2)
    assert probe.weight.shape == (300, 4)
    assert (probe.predict(x) == direct.predict(x)).mean() >= 0.99
    loss, loss_direct = (
        cross_entropy(p.logits(x[own]), y[own]) + l2 / 2 * float((p.weight**2).sum()) for p in (probe, direct)
    )
    assert loss == pytest.approx(loss_direct, abs=1e-5)


def test_below_five_labels_the_value_is_fixed_and_nothing_is_chosen(monkeypatch):
    x, y = _clusters()
    own = np.concatenate([np.flatnonzero(y == c)[:4] for c in range(4)])

    def refuse(*_, **__):
        raise AssertionError

    monkeypatch.setattr(selection, "choose_l2", refuse)
    assert fit_few(x[own], y[own], classes=4, shots=4)[1] == FEW_SHOT_L2
    with pytest.raises(AssertionError):
        fit_few(x[own], y[own], classes=4, shots=5)


def test_the_path_ends_early_only_after_it_has_turned_down_twice(monkeypatch):
    tried = []

    def fit(x, y, classes, l2, start=None):
        tried.append(l2)
        return fit_linear(x, y, classes, l2, start)

    monkeypatch.setattr(selection, "fit_linear", fit)
    x, y = _clusters()
    choose_l2(x, y, classes=4, folds=[(np.arange(100), np.arange(100, 400))])
    assert tried == list(L2_GRID[: len(tried)])
    assert len(tried) >= 3
