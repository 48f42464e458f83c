"""On an Apple GPU, which has no float64, everything runs and gives what the CPU gives."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pictures import write_pictures
from pretend_cuda import Device, OnDevice
from pretend_mps import MPS, pretended_mps
from small_recipe import SMALL
from twofold.evaluation import build_knn_monitor
from twofold.hardware import device
from twofold.hardware.device import resolve_hardware
from twofold.programs.evaluate import evaluate
from twofold.recipes.recipe import HardwareRecipe
from twofold.runs.encoder_file import load
from twofold.training import health
from twofold.training.loop import pretrain
from twofold.views.ops import crop


@pytest.fixture
def mps() -> Iterator[Device]:
    with pretended_mps() as device:
        yield device


@pytest.mark.parametrize(
    "asks",
    [
        lambda x: x.double(),
        lambda x: x.to(torch.float64),
        lambda x: torch.ones(2, dtype=torch.float64, device=MPS),
        lambda x: torch.from_numpy(np.ones(2)).to(MPS),
        lambda x: x.sum(dtype=torch.float64),
        lambda x: torch.tensor(np.float64(1.0), device=MPS),
    ],
)
def test_the_pretended_device_has_no_float64(mps: Device, asks: Callable[[Any], Any]) -> None:
    x = torch.rand(3).to(MPS)
    assert (type(x), x.device, (x + 1).dtype) == (OnDevice, MPS, torch.float32)
    with pytest.raises(TypeError, match="float64"):
        asks(x)


def test_it_is_what_auto_takes(mps: Device) -> None:
    hardware = resolve_hardware(HardwareRecipe())
    assert (hardware.device.type, hardware.precision) == ("mps", "fp32")


def measures(place: torch.device | str) -> dict[str, float]:
    h, z_a, z_b = (torch.randn(16, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(3))
    return health.health(h.to(place), z_a.to(place), z_b.to(place))


def test_health_is_that_of_the_cpu(mps: Device) -> None:
    assert measures(MPS) == measures("cpu")


def test_a_run_an_embedding_and_an_evaluation_are_those_of_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole programs: what trains, watches, embeds, probes and fine-tunes."""
    monkeypatch.setattr(device, "_has_fast_bf16", lambda _: False)  # or "auto" takes bf16 on some CPUs
    monkeypatch.setattr(crop, "on_device", lambda _: True)  # views differ by rounding otherwise
    data, cache = write_pictures(tmp_path / "data", per_class=8, splits=("train", "test")), tmp_path / "cache"
    recipe = SMALL.with_settings(device="auto", chunk=8)
    asked: dict[str, Any] = {"protocol": ["knn", "linear", "finetune"], "shots": [1], "seeds": 1, "few_seeds": 1}

    def everything(name: str) -> tuple[list[dict[str, Any]], np.ndarray, Any]:
        run = pretrain(data, out=tmp_path / name, recipe=recipe, cache=cache, monitors=(build_knn_monitor,))
        rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
        timeless = [{k: v for k, v in row.items() if not k.endswith(("_s", "_share"))} for row in rows]
        h = load(run).embed(sorted(data.rglob("*.png"))[:5])
        evaluate(run, data=data, cache=cache, finetune_epochs=1, **asked)
        return timeless, h, json.loads(run.evaluation.read_text())

    with pretended_mps() as pretended:
        found = everything("mps")
        assert pretended.waits, "it did run there"
    expected = everything("cpu")
    assert found[0] == expected[0]
    assert np.array_equal(found[1], expected[1])
    assert found[2] == expected[2]
