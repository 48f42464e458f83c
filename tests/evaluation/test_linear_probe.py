import doctest
from importlib import import_module

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from networks import same, state
from twofold.errors import NotFiniteError
from twofold.evaluation import LinearProbe, fit_linear, fit_probes, fit_scaling, logistic_regression
from twofold.evaluation.labels import stratified_folds
from twofold.evaluation.linear_probe import FEW_SHOT_L2, L2_GRID, choose_l2, fit_few, linear_probe
from twofold.evaluation.logistic_regression import cross_entropy

linear_probe_module = import_module("twofold.evaluation.linear_probe")  # the package has a function of that name


def _clusters(n=400, d=60, classes=4, spread=0.3, seed=0):
    draw = np.random.default_rng(seed)
    y = draw.permutation(np.arange(n) % classes)
    x = spread * draw.normal(size=(classes, d))[y] + draw.normal(size=(n, d))
    return fit_scaling(x.astype(np.float32))(x.astype(np.float32)), y


@pytest.mark.parametrize("seed", range(4))
def test_the_chosen_value_has_the_least_cross_entropy_on_the_cut(seed):
    x, y = _clusters(seed=seed)
    kept, cut = np.arange(0, 100), np.arange(100, 400)
    chosen = choose_l2(x, y, classes=4, folds=[(kept, cut)]).l2
    losses = {l2: cross_entropy(fit_linear(x[kept], y[kept], 4, l2).logits(x[cut]), y[cut]) for l2 in L2_GRID}
    assert losses[chosen] <= min(losses.values()) + 1e-3  # cold fits end within rounding of the warm ones


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
    assert (probe.predict(x) == direct.predict(x)).mean() >= 0.95  # with little decay many weights fit nearly as well
    loss, loss_direct = (
        cross_entropy(p.logits(x[own]), y[own]) + l2 / 2 * float((p.weight**2).sum()) for p in (probe, direct)
    )
    assert loss == pytest.approx(loss_direct, abs=1e-5)


def test_below_five_labels_the_value_is_fixed_and_nothing_is_chosen(monkeypatch):
    x, y = _clusters()
    own = np.concatenate([np.flatnonzero(y == c)[:4] for c in range(4)])

    def refuse(*_, **__):
        raise AssertionError

    monkeypatch.setattr(linear_probe_module, "choose_l2", refuse)
    assert fit_few(x[own], y[own], classes=4, shots=4)[1] == FEW_SHOT_L2
    with pytest.raises(AssertionError):
        fit_few(x[own], y[own], classes=4, shots=5)


def _scripted(monkeypatch, losses, n=100):
    """Choose among probes that have such cross-entropies on n cut rows; the values tried, and the one chosen."""
    tried = []

    def fit(x, y, classes, l2, start=None, **options):
        logits = np.zeros((n, 2), np.float32)
        logits[:, 1] = np.log(np.expm1(losses[len(tried)]))  # the truth is class 0
        tried.append(l2)
        return LinearProbe(logits, np.zeros(2, np.float32))  # the rows of x are unit vectors: they pick their logits

    monkeypatch.setattr(linear_probe_module, "fit_linear", fit)
    grid = L2_GRID[:8]
    x, y, rows = np.eye(n, dtype=np.float32), np.zeros(n, np.int64), np.arange(n)
    chosen = choose_l2(x, y, classes=2, folds=[(rows, rows)], grid=grid).l2
    return [grid.index(l2) for l2 in tried], grid.index(chosen)


@pytest.mark.parametrize(
    ("losses", "tried", "chosen"),
    [
        ((2.0, 1.0, 1.1, 1.2, 0.1, 0.1, 0.1, 0.1), 4, 1),  # turned: the rest is not tried
        ((1.0, 1.1, 1.2, 0.1, 0.1, 0.1, 0.1, 0.1), 3, 0),
        ((2.0, 1.9, 1.8, 1.7, 1.6, 1.5, 1.4, 1.3), 8, 7),
        ((2.0, 1.9, 2.0, 1.8, 1.9, 1.5, 1.6, 1.6), 8, 5),  # never twice in a row
        ((2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0), 8, 0),  # of equals the strongest
    ],
)
def test_the_path_ends_where_the_cross_entropy_rose_twice(monkeypatch, losses, tried, chosen):
    assert _scripted(monkeypatch, losses) == (list(range(tried)), chosen)


def _unbalanced(n=1000):
    """95 of 100 rows in class 0. Class 1 shows in a coarse feature, farther out in which 6 of 100 of class 0 lie, and
    in the small difference of two others: cheap weights mistake those 6, and only dear ones tell the classes apart.
    """
    draw = np.random.default_rng(0)
    y = draw.permutation((np.arange(n) % 20 == 0).astype(np.int64))
    decoy = (y == 0) & (draw.random(n) < 0.06)
    coarse, shared = 2.5 * y + 4.0 * decoy + 0.2 * draw.normal(size=n), draw.normal(size=n)
    fine = shared + 0.1 * (y + 0.1 * draw.normal(size=n))
    x = np.stack([coarse, shared, fine], axis=1).astype(np.float32)
    return fit_scaling(x)(x), y


def test_where_one_class_is_nearly_all_the_path_goes_on_past_the_majority():
    x, y = _unbalanced()
    kept, cut = np.arange(500), np.arange(500, 1000)
    probe = choose_l2(x, y, classes=2, folds=[(kept, cut)]).start
    assert int((probe.predict(x[cut]) == y[cut]).sum()) == 500


def test_draws_that_choose_the_same_value_share_one_fit_on_all_rows(monkeypatch):
    x, y = _clusters()
    whole = []

    def fit(x, y, classes, l2, start=None, **options):
        whole.extend([l2] if len(x) == 400 else [])
        return fit_linear(x, y, classes, l2, start, **options)

    monkeypatch.setattr(linear_probe_module, "fit_linear", fit)
    order = np.random.default_rng(0)
    draws = [[(p[:300], p[300:])] for p in (order.permutation(400) for _ in range(6))]
    fitted = fit_probes(x, y, classes=4, draws=draws)
    assert [l2 for _, l2 in fitted] == [choose_l2(x, y, classes=4, folds=folds).l2 for folds in draws]
    assert sorted(whole) == sorted({l2 for _, l2 in fitted})
    for probe, l2 in fitted:
        assert (probe.predict(x) == fit_linear(x, y, 4, l2).predict(x)).mean() >= 0.995


def test_a_probe_that_did_not_converge_says_so_also_from_the_space_of_the_rows(monkeypatch):
    x, y = _clusters(n=40, d=60)
    assert fit_few(x, y, classes=4, shots=10)[0].converged
    monkeypatch.setattr(logistic_regression, "ITERATIONS", 1)
    assert not fit_few(x, y, classes=4, shots=10)[0].converged


def _images(n, seed=0, classes=3):
    """Noise with a bright row for each class, and the classes."""
    draw = np.random.default_rng(seed)
    y = draw.permutation(np.arange(n) % classes)
    x = draw.random((n, 1, 6, 6), np.float32)
    x[np.arange(n), 0, 2 * y] += 0.6
    return torch.from_numpy(x), torch.from_numpy(y)


def test_the_example_of_linear_probe_holds():
    names = {"linear_probe": linear_probe, "torch": torch, "nn": nn}
    results = [doctest.DocTestRunner().run(one) for one in doctest.DocTestFinder().find(linear_probe, globs=names)]
    assert (sum(one.attempted for one in results), sum(one.failed for one in results)) == (3, 0)


def test_linear_probe_is_scikit_learns_on_scaled_features_of_the_encoder():
    train, test = _images(300), _images(120, seed=1)
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten())
    result = linear_probe(encoder, train, test, batch_size=70)
    with torch.no_grad():
        h, asked = (encoder(images).numpy() for images, _ in (train, test))
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=1 / (300 * result.l2), max_iter=5000))
    expected = oracle.fit(h, train[1].numpy()).predict(asked)
    assert (result.predicted.numpy() == expected).mean() >= 0.99
    assert result.top1 == (result.predicted == test[1]).double().mean().item() > 0.8
    assert result.l2 in L2_GRID


def test_linear_probe_leaves_the_encoder_as_it_was_and_runs_it_in_evaluation_mode():
    train, test = _images(60), _images(30, seed=1)
    encoder = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.9), nn.Flatten()).train()
    before = state(encoder)
    results = [linear_probe(encoder, train, test) for _ in range(2)]
    assert results[0].top1 == results[1].top1
    assert encoder.training
    assert same(state(encoder), before)


def test_no_choice_of_linear_probe_depends_on_test_labels():
    train, (images, labels) = _images(60), _images(30, seed=1)
    honest, shuffled = (linear_probe(nn.Flatten(), train, (images, y)) for y in (labels, labels.flip(0)))
    assert torch.equal(honest.predicted, shuffled.predicted)
    assert honest.l2 == shuffled.l2
    assert honest.top1 > shuffled.top1


def test_linear_probe_refuses_features_that_are_not_finite():
    train, test = _images(60), _images(30, seed=1)
    train[0][7] = torch.nan
    with pytest.raises(NotFiniteError, match="1 of 60"):
        linear_probe(nn.Flatten(), train, test)
