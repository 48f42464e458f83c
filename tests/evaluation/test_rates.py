"""What an evaluation will take is told from steps that are alike, not from one that stumbled."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from twofold.evaluation import rates


@pytest.mark.parametrize("stumbles", [0, 1, 5])
def test_a_step_that_stumbles_moves_nothing(monkeypatch: pytest.MonkeyPatch, stumbles: int) -> None:
    """Of eight steps the first ones warm up; of the others one may take a hundred times as long."""
    now = [0.0]

    def fit(*_: Any, schedule: Any, each_step: Callable[[int], None], **__: Any) -> None:
        for step in range(schedule.steps):
            now[0] += 100.0 if step < 2 or step == stumbles else 1.0
            each_step(step)

    monkeypatch.setattr(rates, "fit_network", fit)
    monkeypatch.setattr(rates, "build_network", lambda *_, **__: None)
    monkeypatch.setattr(rates.time, "perf_counter", lambda: now[0])
    labelled = SimpleNamespace(classes=["a", "b"], train=[0] * 8, train_ids=[0] * 8)
    scope = SimpleNamespace(labelled=labelled, images=None)
    subject = SimpleNamespace(encoder=None, dim=4, hardware=None, views=None)
    step_s = getattr(rates._step_s, "__wrapped__", rates._step_s)  # without checks of the stand-ins' types
    assert step_s(subject, scope, 8) == 1.0
