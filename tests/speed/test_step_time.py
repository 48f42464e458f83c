"""How long a step is measured to take, and by how many steps."""

import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pictures import write_pictures
from twofold.data import ImageBatch, load_images
from twofold.distributed import World
from twofold.hardware.device import Hardware
from twofold.recipes.recipe import Recipe
from twofold.speed import step_time
from twofold.speed.step_time import MOST_BATCHES, measure_step_s

MIB = 2**20
CPU = Hardware(torch.device("cpu"), "fp32")
TINY = Recipe().with_settings(size_px=12, encoder="resnet10", stages=1, width=0.25, stem="strided", z_dim=8)


def pictures(n: int) -> ImageBatch:
    return ImageBatch(torch.zeros(n, 3, 16, 16, dtype=torch.uint8), torch.full((n, 2), 16))


def stepping(step: Callable[..., torch.Tensor]) -> Callable[..., Any]:
    """A `build_step` whose steps are calls of `step`."""
    return lambda _train, *given: lambda batch, *, lr: {"loss": step(*given, batch)}


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
