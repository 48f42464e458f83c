import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from twofold.evaluation import LinearProbe, fit_linear, fit_scaling, logistic_regression
from twofold.evaluation.logistic_regression import _loss_and_gradient, cross_entropy


def _clusters(n=1500, d=40, classes=5, spread=0.35, seed=0):
    draw = np.random.default_rng(seed)
    y = draw.integers(0, classes, n)
    x = spread * draw.normal(size=(classes, d))[y] + draw.normal(size=(n, d)) * np.geomspace(3, 0.3, d)
    return fit_scaling(x.astype(np.float32))(x.astype(np.float32)), y


def _objective(probe, x, y, l2):
    logits = x.astype(np.float64) @ probe.weight.astype(np.float64) + probe.bias
    return cross_entropy(logits.astype(np.float32), y) + 0.5 * l2 * float((probe.weight.astype(np.float64) ** 2).sum())


@pytest.mark.parametrize("l2", [1.0, 1e-2, 1e-4])
def test_agrees_with_scikit_learn(l2):
    x, y = _clusters()
    train, test = slice(0, 1000), slice(1000, None)
    oracle = LogisticRegression(C=1 / (1000 * l2), max_iter=5000, tol=1e-7).fit(x[train].astype(np.float64), y[train])
    probe = fit_linear(x[train], y[train], 5, l2)
    assert (probe.predict(x[test]) == oracle.predict(x[test])).mean() >= 0.995
    best = LinearProbe(oracle.coef_.T.astype(np.float32), oracle.intercept_.astype(np.float32))
    assert _objective(probe, x[train], y[train], l2) <= _objective(best, x[train], y[train], l2) + 1e-4


def test_another_l2_would_not_agree():
    x, y = _clusters()
    oracle = LogisticRegression(C=1 / (1000 * 1e-4), max_iter=5000).fit(x[:1000].astype(np.float64), y[:1000])
    probe = fit_linear(x[:1000], y[:1000], 5, 1.0)
    assert (probe.predict(x[1000:]) == oracle.predict(x[1000:])).mean() < 0.98


def test_the_gradient_is_the_slope_of_the_loss():
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(30, 4)).astype(np.float32), draw.integers(0, 3, 30)
    point = draw.normal(size=15)
    error = check_grad(
        lambda v: _loss_and_gradient(v.reshape(5, 3), x, y, 0.3)[0],
        lambda v: _loss_and_gradient(v.reshape(5, 3), x, y, 0.3)[1].ravel(),
        point,
        epsilon=1e-3,
    )
    assert error < 1e-3


def test_the_bias_does_not_decay():
    x, _ = _clusters(n=200)
    y = (np.arange(200) < 50).astype(np.int64)
    probe = fit_linear(x, y, 2, 1e6)
    assert np.abs(probe.weight).max() < 1e-4
    assert probe.bias[0] - probe.bias[1] == pytest.approx(np.log(3), abs=1e-3)


def test_where_it_starts_does_not_show():
    x, y = _clusters()
    cold = fit_linear(x, y, 5, 1e-3)
    warm = fit_linear(x, y, 5, 1e-3, start=fit_linear(x, y, 5, 1e-2))
    assert _objective(warm, x, y, 1e-3) == pytest.approx(_objective(cold, x, y, 1e-3), abs=1e-5)
    assert (warm.predict(x) == cold.predict(x)).mean() >= 0.998


def test_a_class_without_rows_is_never_predicted():
    x, y = _clusters(classes=3)
    assert set(fit_linear(x, y, 6, 1e-3).predict(x).tolist()) <= {0, 1, 2}


def test_scaling_agrees_with_scikit_learn_and_silences_constant_features():
    x = np.random.default_rng(0).normal(5, 3, (100, 6)).astype(np.float32)
    x[:, 2] = 0.1
    scaled = fit_scaling(x)(x)
    others = [0, 1, 3, 4, 5]
    np.testing.assert_allclose(scaled[:, others], StandardScaler().fit_transform(x)[:, others], atol=1e-4)
    assert (scaled[:, 2] == 0).all()


def test_huge_logits_stay_finite():
    assert cross_entropy(np.array([[1e4, -1e4]], np.float32), np.array([1])) == pytest.approx(2e4)


def test_the_gradient_is_that_of_a_plain_float64_loop():
    draw = np.random.default_rng(1)
    x, y = draw.normal(size=(50, 7)).astype(np.float32), draw.integers(0, 4, 50)
    parameters = draw.normal(size=(8, 4))
    loss, gradient = 0.0, np.zeros((8, 4))
    for row, label in zip(x.astype(np.float64), y, strict=True):
        logits = row @ parameters[:-1] + parameters[-1]
        odds = np.exp(logits) / np.exp(logits).sum()
        loss -= np.log(odds[label]) / 50
        gradient += np.outer(np.append(row, 1.0), odds - np.eye(4)[label]) / 50
    loss += 0.15 * (parameters[:-1] ** 2).sum()
    gradient[:-1] += 0.3 * parameters[:-1]
    found = _loss_and_gradient(parameters, x, y, 0.3)
    assert found[0] == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(found[1], gradient, atol=1e-5)


def test_a_probe_says_whether_it_converged(monkeypatch):
    x, y = _clusters()
    assert fit_linear(x, y, 5, 1e-2).converged
    monkeypatch.setattr(logistic_regression, "ITERATIONS", 3)
    assert not fit_linear(x, y, 5, 1e-2).converged


def test_an_unscaled_probe_gives_features_as_they_are_the_same_logits():
    draw = np.random.default_rng(0)
    h = (5 + 3 * draw.normal(size=(200, 6))).astype(np.float32)
    h[:, 2] = 7.0  # a constant feature
    scaling = fit_scaling(h)
    probe = LinearProbe(draw.normal(size=(6, 4)).astype(np.float32), draw.normal(size=4).astype(np.float32))
    np.testing.assert_allclose(probe.unscaled(scaling).logits(h), probe.logits(scaling(h)), atol=1e-4)
    assert np.abs(probe.logits(h) - probe.logits(scaling(h))).max() > 1  # the fault: the scaling forgotten
