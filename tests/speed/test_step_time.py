"""The chunk that fits in memory, and what is measured for it."""

import itertools
import random
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pictures import write_pictures
from twofold.data import ImageBatch, load_images
from twofold.distributed import World
from twofold.errors import TwofoldError
from twofold.hardware.device import Hardware
from twofold.hardware.peak_memory import PeakMemory
from twofold.recipes.recipe import HardwareRecipe, Recipe
from twofold.speed import step_time
from twofold.speed.step_time import MOST_BATCHES, choose_chunk, measure_step_s

MIB = 2**20
CPU = Hardware(torch.device("cpu"), "fp32")
TINY = Recipe().with_settings(size_px=12, encoder="resnet10", stages=1, width=0.25, stem="strided", z_dim=8)


def pictures(n: int) -> ImageBatch:
    return ImageBatch(torch.zeros(n, 3, 16, 16, dtype=torch.uint8), torch.full((n, 2), 16))


def stepping(step: Callable[..., torch.Tensor]) -> Callable[..., Any]:
    """A `build_step` whose steps are calls of `step`."""
    return lambda _train, *given: lambda batch, *, lr: {"loss": step(*given, batch)}


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

    def step(_state: Any, _recipe: Any, _hardware: Any, _world: Any, share: Any, batch: ImageBatch) -> torch.Tensor:
        assert len(batch.images) == len(share.positions)
        last.chunk = share.chunks[0].stop
        return torch.zeros(())

    monkeypatch.setattr(step_time, "PeakMemory", Peak)
    monkeypatch.setattr(step_time, "build_step", stepping(step))
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


def test_a_chunk_is_chosen_without_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine sizes: beyond eight torch compiles no more, and a run would go on uncompiled."""
    monkeypatch.setattr(torch.nn.Module, "compile", lambda _: pytest.fail("compiled"))
    seen: list[Hardware] = []

    def step(_state: Any, recipe: Recipe, hardware: Hardware, *_: Any) -> torch.Tensor:
        assert not recipe.hardware.compile
        seen.append(hardware)
        return torch.zeros(())

    monkeypatch.setattr(step_time, "build_step", stepping(step))
    recipe = TINY.with_settings(batch_size=64, memory="64GiB", compile=True)
    choose_chunk(recipe, replace(CPU, compiled=True), World(), pictures(64), memory=2**36)
    assert seen
    assert not any(hardware.compiled for hardware in seen)


_PEAK = """
import time
import torch
from twofold.hardware.peak_memory import PeakMemory
with PeakMemory(torch.device("cpu")) as before:
    pass
with PeakMemory(torch.device("cpu")) as peak:
    block = torch.ones(300 * 2**20, dtype=torch.uint8)
    time.sleep(0.3)  # however busy the machine is, the thread that looks has its turn
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


def test_a_gpu_is_not_charged_for_images_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    free = [6 * 2**30]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (free[0], 8 * 2**30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _device: 2**30)
    gpu, cpu = Hardware(torch.device("cuda"), "fp32"), CPU
    recipe, batch = TINY.with_settings(batch_size=1000), pictures(1000)
    on_cpu, on_gpu = (step_time._beside_the_chunks(recipe, hardware, batch) for hardware in (cpu, gpu))
    assert on_cpu - on_gpu == 3 * batch.images.numel()
    assert on_gpu > 0
    assert step_time._limited(4 * 2**30, gpu.device, World()) == 4 * 2**30
    assert step_time._limited(80 * 2**30, gpu.device, World()) == 7 * 2**30
    assert step_time._limited(80 * 2**30, cpu.device, World()) == 80 * 2**30


def test_the_peak_of_a_gpu_is_what_is_taken_from_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _device: None)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _device: 7)
    with PeakMemory(torch.device("cuda")) as peak:
        pass
    assert peak.bytes == 7


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def read_ahead(clock: Clock, read_s: float) -> Iterator[ImageBatch]:
    """Batches of a reader that takes `read_s` seconds for each and reads two while one is used, as `Loader` does."""
    asked, ready = deque([clock.now] * 3), clock.now
    for number in itertools.count():
        ready = max(ready, asked.popleft()) + read_s
        clock.now = max(clock.now, ready)
        asked.append(clock.now)
        yield ImageBatch(torch.full((1, 1, 1, 1), number % 250, dtype=torch.uint8), torch.ones(1, 2, dtype=torch.int64))


def measured(
    monkeypatch: pytest.MonkeyPatch,
    steps_s: Callable[[int], float],
    *,
    read_s: float = 0.0,
    seconds: float = 1.0,
    world: World | None = None,
) -> tuple[float, int, float]:
    """Measured seconds, how many steps were taken, and when it ended, where step n takes `steps_s(n)` seconds."""
    clock, taken = Clock(), itertools.count()

    def step(*_: Any) -> torch.Tensor:
        clock.now += steps_s(next(taken))
        return torch.zeros(())

    with monkeypatch.context() as patch:
        patch.setattr(step_time, "time", clock)
        patch.setattr(step_time, "build_step", stepping(step))
        recipe, share = TINY.with_settings(batch_size=8), World().share(8)
        found = measure_step_s(
            recipe, CPU, world or World(), share, pictures(8), read_ahead(clock, read_s), seconds=seconds
        )
    return found, next(taken), clock.now


@pytest.mark.parametrize("read_s", [0.0, 0.05, 0.1, 0.5, 5.0])
@pytest.mark.parametrize("start_s", [(), (90.0,), (7.0, 0.1), (60.0, 40.0, 1.0), (8.0, 4.0, 2.0, 1.0, 0.5)])
def test_a_step_is_as_long_as_computing_or_reading_whatever_the_first_steps_take(
    monkeypatch: pytest.MonkeyPatch, start_s: tuple[float, ...], read_s: float
) -> None:
    found, steps, _ = measured(monkeypatch, lambda n: start_s[n] if n < len(start_s) else 0.1, read_s=read_s)
    assert found == pytest.approx(max(0.1, read_s), rel=0.02)
    assert steps >= 5


@pytest.mark.parametrize("step_s", [0.001, 0.02, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("read_s", [0.0, 2.0])
@pytest.mark.parametrize("seconds", [0.2, 6.0])
def test_measuring_takes_about_as_long_as_asked_or_five_steps(
    monkeypatch: pytest.MonkeyPatch, step_s: float, read_s: float, seconds: float
) -> None:
    _, steps, took = measured(monkeypatch, lambda _: step_s, read_s=read_s, seconds=seconds)
    assert 5 <= steps <= MOST_BATCHES + 9
    assert took <= seconds + 2 * step_s + 4 * max(step_s, read_s) + 1e-6


def test_steps_that_never_agree_end_the_warm_up_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found, steps, took = measured(monkeypatch, lambda n: 0.1 * 3 ** (n % 2), seconds=0.2)
    assert 0.099 <= found <= 0.301
    assert steps <= 20
    assert took < 4.0


def test_one_step_in_ten_that_stumbles_moves_little(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, _ = measured(monkeypatch, lambda n: 0.1 if n % 10 else 0.3, seconds=6.0)
    assert found == pytest.approx(0.12, rel=0.05)  # what a step takes on average


class Talking(World):
    """A world of which one process is seen: it keeps what the first decides, or is told it."""

    def __init__(self, said: list[Any], *, first: bool) -> None:
        super().__init__()
        object.__setattr__(self, "said", said)
        object.__setattr__(self, "first", first)

    def from_first(self, work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        if self.first:  # type: ignore[attr-defined]
            self.said.append(work(*arguments, **options))  # type: ignore[attr-defined]
            return self.said[-1]  # type: ignore[attr-defined]
        return self.said.pop(0)  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", range(5))
def test_all_processes_take_the_same_steps_and_the_first_decides(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    draw, said = random.Random(seed), list[Any]()
    calm = measured(monkeypatch, lambda _: draw.uniform(0.05, 0.2), world=Talking(said, first=True))
    assert len(said) <= 12
    other = measured(monkeypatch, lambda n: 20.0 if n == 0 else 3.0, world=Talking(said, first=False))
    assert said == []
    assert other[:2] == calm[:2]


def test_a_step_is_measured_and_the_random_numbers_stay() -> None:
    recipe, world = TINY.with_settings(batch_size=8), World()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    batches = (pictures(8) for _ in range(MOST_BATCHES))
    assert 0 < measure_step_s(recipe, CPU, world, world.share(8), pictures(8), batches, seconds=0.1) < 10
    assert torch.equal(torch.get_rng_state(), before)


def test_a_look_is_measured_by_the_second_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "data", per_class=2)
    images = load_images(folder, recipe=TINY.data, store_px=24, cache=tmp_path, show_progress=False)
    clock, looks = Clock(), list[int]()

    def build(*_: Any) -> Callable[[Any], None]:
        def look(_state: Any) -> None:
            looks.append(0)
            clock.now += 3.0 if len(looks) == 1 else 0.5

        return look

    monkeypatch.setattr(step_time, "time", clock)
    monkeypatch.setattr(step_time, "build_look", build)
    assert step_time.measure_look_s(TINY, CPU, images, ()) == 0.5
