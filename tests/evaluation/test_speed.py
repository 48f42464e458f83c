"""The guess of how long an evaluation takes."""

from types import SimpleNamespace

import numpy as np
import pytest

from twofold.evaluation import speed as speeds
from twofold.evaluation.speed import Speed, measure_speed

SPEED = Speed(call_s=2.0, image_s=0.5, product_s=0.25, dim=3)


def test_the_guessed_time_is_that_of_all_steps_and_of_all_images_shown():
    assert SPEED.training_s(469, 64, frozen=False) == 3 * 469 * (2.0 + 64 * 0.5)  # forward and twice that backward
    assert SPEED.training_s(469, 64, frozen=True) == 469 * (2.0 + 64 * 0.5)
    assert SPEED.embedding_s(1000) == 1000 * 0.5 + 2 * 2.0
    assert SPEED.fits_s(100.0, 4, fits=3) == 2 * SPEED.fits_s(50.0, 4, fits=3) == 3 * SPEED.fits_s(100.0, 4, fits=1)


@pytest.mark.parametrize("stumbles", [0, 1, 2, 3, 4])
def test_a_trial_that_stumbles_moves_nothing(monkeypatch, stumbles):
    """A batch takes 2 s and each image 0.5 s; one trial of all may take a thousand times as long."""
    now, calls = [0.0], []

    def embed(encoder, images, rows, *, batch_size, **options):
        calls.append(len(rows))
        seconds = 2.0 * -(-len(rows) // batch_size) + 0.5 * len(rows)
        now[0] += seconds * (1000 if len(calls) == stumbles else 1)
        return np.ones((len(rows), 3), np.float32)

    monkeypatch.setattr(speeds, "embed_images", embed)
    monkeypatch.setattr(speeds.time, "perf_counter", lambda: now[0])
    rows = SimpleNamespace(train=np.arange(200), train_ids=np.arange(200) % 2, classes=["a", "b"])
    subject = SimpleNamespace(encoder=None, views=None, hardware=None)
    measure = getattr(measure_speed, "__wrapped__", measure_speed)  # without checks of the stand-ins' types
    speed = measure(subject, SimpleNamespace(rows=rows, images=None))
    assert (speed.call_s, speed.image_s, speed.dim) == (pytest.approx(2.0), pytest.approx(0.5), 3)
    assert sum(calls) < 1000  # it stays a matter of moments
