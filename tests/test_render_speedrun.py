"""Fifteen minutes beside lightly: the tuned loop is the headline where it was measured, and its absence is said."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def render(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("render", BENCHMARKS / "render.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(seed: int, linear: float) -> dict[str, Any]:
    shares = {"linear trained": linear, "knn trained": 0.4, "linear untrained": 0.3, "linear pixels": 0.41}
    return {"seed": seed, "minutes": 15.0, "epochs": 40.0, **shares}


def measured(**more: Any) -> dict[str, Any]:
    place = {"name": "CPU", "cores": 2, "device": "cpu", "precision": "bf16", "torch": "2.15.0", "date": "2026-01-01"}
    return {
        "machine": place,
        "lightly": "1.6.0",
        "recipe": "cifar10-laptop",
        "settings": {"base-lr": 0.6},
        "runs": [run(0, 0.7), run(1, 0.72)],
        "peers": [run(0, 0.46)],
        "linear": {"mean": 0.71, "low": 0.7, "high": 0.72},
        **more,
    }


def test_without_a_tuned_loop_the_figure_is_said_to_be_of_the_documented_use(render: ModuleType) -> None:
    text = "\n".join(render.speedrun(measured(above_lightly=0.25)))
    assert "25.0 points above lightly as documented" in text
    assert (
        "lightly tuned (Twofold's encoder and settings, a rate from the same grid, bf16) has not been measured" in text
    )


def test_the_tuned_loop_is_what_twofold_is_compared_with(render: ModuleType) -> None:
    tried = {"twofold": {"0.2": 0.6, "0.6": 0.65}, "lightly": {"0.2": 0.5, "0.6": 0.55}}
    above = {"mean": 0.021, "low": -0.001, "high": 0.043}
    lines = render.speedrun(measured(tuned=[run(0, 0.68), run(1, 0.7)], tried=tried, above_tuned=above))
    rows = [line.split(" | ")[0] for line in lines if line.startswith("| ") and "seed" not in line]
    assert rows == ["| twofold"] * 2 + ["| lightly, tuned"] * 2 + ["| lightly, as documented"]
    assert "+2.1 points beside lightly tuned (\u22120.1 to +4.3, paired by image and seed" in lines[-1]
    assert "lightly 0.2 50.0, 0.6 55.0" in lines[-1]
    assert "not been measured" not in lines[-1]
