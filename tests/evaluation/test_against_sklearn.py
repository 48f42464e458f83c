"""The probe is the logistic regression that everybody else fits."""

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from twofold.evaluation import LinearProbe, fit_linear, fit_probes, fit_scaling

TEST = 4000  # rows: half a per cent of them is 20


@dataclass(frozen=True)
class Shape:
    """`distance` is that of the classes' centres in standard deviations of their rows."""

    n: int
    d: int
    classes: int
    distance: float
    l2: float


SHAPES = [
    Shape(n=1000, d=30, classes=2, distance=1.0, l2=1e-2),  # overlapping
    Shape(n=1000, d=30, classes=2, distance=4.0, l2=1e-3),  # apart
    Shape(n=2000, d=40, classes=10, distance=2.0, l2=1e-2),  # overlapping
    Shape(n=2000, d=40, classes=10, distance=6.0, l2=1e-3),
    Shape(n=2000, d=40, classes=10, distance=2.0, l2=1e-5),  # hardly any decay
    Shape(n=60, d=300, classes=2, distance=3.0, l2=1e-1),  # fewer rows than features
    Shape(n=100, d=300, classes=10, distance=6.0, l2=1e-2),
    Shape(n=500, d=64, classes=3, distance=0.0, l2=1e-1),  # nothing to learn
]


def _draw(shape):
    """((x, y) to fit on, x held out), scaled by the former; the classes are not equally frequent."""
    draw = np.random.default_rng([shape.n, shape.d, shape.classes])
    odds = np.linspace(1, 2, shape.classes)
    y = draw.choice(shape.classes, shape.n + TEST, p=odds / odds.sum())
    centres = draw.normal(size=(shape.classes, shape.d)) * shape.distance / np.sqrt(2 * shape.d)
    x = ((centres[y] + draw.normal(size=(len(y), shape.d))) * np.geomspace(5, 0.2, shape.d)).astype(np.float32)
    scaling = fit_scaling(x[: shape.n])
    return (scaling(x[: shape.n]), y[: shape.n]), scaling(x[shape.n :])


def _oracle(x, y, l2):
    """C = 1/(n l2); twice that for two classes, where scikit-learn has one vector w, ours +w/2 and -w/2."""
    c = (2 if y.max() == 1 else 1) / (len(y) * l2)
    return LogisticRegression(C=c, max_iter=20_000, tol=1e-8).fit(x.astype(np.float64), y)


def _margins(logits):
    """What of logits counts: for two classes their difference, for more how far each is from their mean."""
    return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits - logits.mean(1, keepdims=True)


def _agreement(one, other):
    return float((one == other).mean())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_probe_agrees_with_scikit_learn(shape):
    (x, y), held_out = _draw(shape)
    probe, oracle = fit_linear(x, y, shape.classes, shape.l2), _oracle(x, y, shape.l2)
    assert probe.converged
    assert _agreement(probe.predict(held_out), oracle.predict(held_out)) >= 0.995
    found, expected = _margins(probe.logits(held_out)), oracle.decision_function(held_out.astype(np.float64))
    expected = expected if expected.ndim == 1 else _margins(expected)
    assert np.abs(found - expected).max() <= 0.01 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("shape", [s for s in SHAPES if s.n < s.d], ids=str)
def test_so_does_the_probe_in_the_span_of_few_rows(shape):
    (x, y), held_out = _draw(shape)
    probe, _ = fit_probes(x, y, classes=shape.classes, draws=[[]])[0]
    oracle = _oracle(x, y, 1e-2)
    assert _agreement(probe.predict(held_out), oracle.predict(held_out)) >= 0.995


@pytest.mark.parametrize("fault", ["ten times the decay", "no bias", "one class swapped", "c of many for two"])
def test_a_wrong_probe_would_be_seen(fault):
    shape = SHAPES[0] if fault == "c of many for two" else SHAPES[2]
    (x, y), held_out = _draw(shape)
    probe, oracle = fit_linear(x, y, shape.classes, shape.l2), _oracle(x, y, shape.l2)
    if fault == "ten times the decay":
        probe = fit_linear(x, y, shape.classes, 10 * shape.l2)
    elif fault == "no bias":
        probe = LinearProbe(probe.weight, 0 * probe.bias)
    elif fault == "one class swapped":
        probe = LinearProbe(probe.weight[:, [1, 0, *range(2, 10)]], probe.bias)
    else:
        oracle = LogisticRegression(C=1 / (len(y) * shape.l2)).fit(x, y)
        margins = _margins(probe.logits(held_out))
        assert np.abs(margins - oracle.decision_function(held_out)).max() > 0.01 * np.abs(margins).max()
        return
    assert _agreement(probe.predict(held_out), oracle.predict(held_out)) < 0.995
