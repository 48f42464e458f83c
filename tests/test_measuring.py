"""The chunk that fits in memory, and what is measured for it."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from twofold import measuring
from twofold.data import ImageBatch
from twofold.distributed import World
from twofold.errors import TwofoldError
from twofold.measuring import choose_chunk, measure_step_s
from twofold.recipe import HardwareRecipe, Recipe
from twofold.runtime.device import Hardware

MIB = 2**20
CPU = Hardware(torch.device("cpu"), "fp32")
TINY = Recipe().with_settings(size_px=12, encoder="resnet10", stages=1, width=0.25, stem="strided", z_dim=8)


def pictures(n: int) -> ImageBatch:
    return ImageBatch(torch.zeros(n, 3, 16, 16, dtype=torch.uint8), torch.full((n, 2), 16))


def chosen(monkeypatch: pytest.MonkeyPatch, memory: str, *, batch_size: int = 1000, bend: int = 0) -> int:
    """`choose_chunk` on a machine where a chunk of c images takes 100 MiB + c MiB, and `bend` more above 64 images."""
    last = SimpleNamespace(chunk=0)

    class Peak:
        def __init__(self, _device: torch.device) -> None:
            self.bytes = 0

        def __enter__(self) -> "Peak":
            return self

        def __exit__(self, *_: object) -> None:
            self.bytes = (100 + last.chunk + (bend if last.chunk > 64 else 0)) * MIB

    def step(_state: Any, _recipe: Any, _hardware: Any, _world: Any, share: Any, batch: ImageBatch) -> None:
        assert len(batch.images) == len(share.positions)
        last.chunk = share.chunks[0].stop

    monkeypatch.setattr(measuring, "PeakMemory", Peak)
    monkeypatch.setattr(measuring, "_step", step)
    recipe = TINY.with_settings(batch_size=batch_size, memory=memory)
    memory_bytes = recipe.hardware.memory_bytes
    assert memory_bytes is not None
    return choose_chunk(recipe, CPU, World(), pictures(batch_size), memory=memory_bytes)


def test_the_largest_chunk_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 290 <= chosen(monkeypatch, "400MiB") <= 300
    assert chosen(monkeypatch, "0.25GiB") in range(146, 157)


def test_the_whole_batch_where_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(monkeypatch, "4GiB") == 1000


def test_the_line_through_the_last_two_measurements_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(monkeypatch, "400MiB", bend=100) <= 200


def test_too_little_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TwofoldError, match=r"memory is 101MiB, but a chunk of .* takes .* MiB \(measured\)"):
        chosen(monkeypatch, "101MiB")


@pytest.mark.parametrize("memory", ["4", "4GB", "-1GiB", "GiB", "4 GiB"])
def test_memory_without_a_proper_unit_is_refused(memory: str) -> None:
    with pytest.raises(TwofoldError, match="MiB or GiB, as 4GiB"):
        HardwareRecipe(memory=memory)


_PEAK = """
import torch
from twofold.runtime.peak import PeakMemory
with PeakMemory(torch.device("cpu")) as before:
    pass
with PeakMemory(torch.device("cpu")) as peak:
    block = torch.ones(300 * 2**20, dtype=torch.uint8)
    del block
with PeakMemory(torch.device("cpu")) as after:
    pass
print(peak.bytes - before.bytes, after.bytes - before.bytes)
"""


def test_a_peak_is_seen_although_it_is_gone_in_the_end() -> None:
    run = subprocess.run([sys.executable, "-c", _PEAK], capture_output=True, text=True, check=True)
    peak, left = (int(word) / MIB for word in run.stdout.split())
    assert 270 < peak < 330  # the first peak stands for what comes and goes by itself, tens of MiB
    assert left < 50


def test_a_step_is_measured_and_the_random_numbers_stay() -> None:
    recipe, world = TINY.with_settings(batch_size=8), World()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    assert 0 < measure_step_s(recipe, CPU, world, world.share(8), pictures(8), seconds=0.1) < 10
    assert torch.equal(torch.get_rng_state(), before)


def test_one_long_step_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(measuring, "_step", lambda *_: calls.append(0))
    world = World()
    measure_step_s(TINY.with_settings(batch_size=8), CPU, world, world.share(8), pictures(8), seconds=0.0)
    assert len(calls) == 1
