import numpy as np
import pytest

from twofold.curation.confidence import reliability
from twofold.evaluation.calibration import fit_temperature, softmax


def test_temperature_undoes_what_was_done_to_the_logits() -> None:
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(4000, 3)) * 2
    y = np.array([draw.choice(3, p=p) for p in softmax(logits)])
    assert fit_temperature(5 * logits, y) == pytest.approx(5, rel=0.1)
    calibrated = softmax(5 * logits, fit_temperature(5 * logits, y))
    for expected, got, _ in reliability(calibrated.max(1), calibrated.argmax(1) == y):
        assert got == pytest.approx(expected, abs=0.06)


def test_few_images_that_are_all_right_do_not_make_it_certain() -> None:
    y = np.arange(6) % 2
    p = softmax(9.0 * np.eye(2)[y], fit_temperature(9.0 * np.eye(2)[y], y))
    assert 0.7 < p.max() < 0.95
