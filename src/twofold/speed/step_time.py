"""Measurements before a run begins, on a state of their own: how long a step takes, and a look."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from statistics import median

from torch import Tensor

from twofold.data import ImageBatch, ImageSet
from twofold.distributed import Share, World
from twofold.hardware.device import Hardware
from twofold.hardware.randomness import forked_random
from twofold.recipes.recipe import Recipe
from twofold.training.graph import build_step
from twofold.training.monitoring import Monitor, build_look
from twofold.training.step import StepSetup, build_state, train_step

TRIAL_LR = 1e-9  # at which weights of no run are trained
_ALIKE = 1.25  # two steps agree where the longer takes at most so many times the shorter
_MOST_WARM_UP = 10
_FEWEST = 3
_LONG_LOOK_S = 5.0  # beside which a first look's start does not count
_BLOCKS, _MOST_IN_BLOCK = 5, 12
MOST_BATCHES = _FEWEST + _BLOCKS * _MOST_IN_BLOCK + 1  # that a measurement of a step reads


def measure_step_s(
    recipe: Recipe,
    hardware: Hardware,
    world: World,
    share: Share,
    batch: ImageBatch,
    batches: Iterable[ImageBatch],
    *,
    seconds: float,
) -> float:
    """Median duration of a training step in seconds, waiting for its images included, measured for about `seconds`.

    Steps on `batch` warm up: the first of a process, a compiler or a GPU takes many times as long as the others. Then
    come at least three, through `batches` (made anew here, so that nothing was read ahead while warming up).
    """
    state = build_state(recipe, hardware, peak=TRIAL_LR, world=world)

    train = build_step(train_step, state, StepSetup.of(recipe, hardware, world, share))

    def step(one: ImageBatch) -> Tensor:
        return train(one, lr=TRIAL_LR)["loss"]

    with forked_random(hardware.device), closing(iter(batches)) as source:  # type: ignore[type-var]  # a generator
        warm_up(lambda: step(batch).item(), world, seconds=seconds)
        reader = _Paced(step, source)
        few = [reader.pace_s(1) for _ in range(_FEWEST)]
        in_block = world.from_first(min, _MOST_IN_BLOCK, int(seconds / median(few) / _BLOCKS))
        paces = [reader.pace_s(in_block) for _ in range(_BLOCKS)] if in_block else few
    return world.from_first(median, paces)


def warm_up(step: Callable[[], object], world: World, *, seconds: float) -> None:
    """Take steps until two in a row take about as long; at most ten, and after `seconds` only while they get quicker.

    All processes take as many. `step` waits until the device has done its work.
    """
    taken = [_timed(step)]
    enough = False
    while not enough and len(taken) < _MOST_WARM_UP:
        taken.append(_timed(step))
        agreed = max(taken[-2:]) <= _ALIKE * min(taken[-2:])
        falling = taken[-1] * _ALIKE < taken[-2]
        late = len(taken) >= _FEWEST and sum(taken[1:]) > seconds and not falling
        enough = world.from_first(bool, agreed or late)


def _timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.monotonic()
    work()
    return time.monotonic() - start


class _Paced:
    """Takes steps on a stream of batches; between the arrival of one and of the next lies a step with its waiting."""

    def __init__(self, step: Callable[[ImageBatch], Tensor], batches: Iterator[ImageBatch]) -> None:
        self._step, self._batches = step, batches
        self._batch = next(batches)
        self._arrived = time.monotonic()

    def pace_s(self, steps: int) -> float:
        """Seconds a step over the next `steps`; the device is waited for once, at their end, as in training."""
        begin = self._arrived
        for number in range(steps):
            loss = self._step(self._batch)
            if number == steps - 1:
                loss.item()
            self._batch = next(self._batches)
        self._arrived = time.monotonic()
        return (self._arrived - begin) / steps


def measure_look_s(recipe: Recipe, hardware: Hardware, images: ImageSet, monitors: Sequence[Monitor]) -> float:
    """Seconds of a look beside the training: of the second, or of the first where that is long."""
    state = build_state(recipe, hardware, peak=TRIAL_LR, world=World())
    look = build_look(lambda _row: None, recipe, hardware, images, monitors)
    with forked_random(hardware.device):
        first = _timed(lambda: look(state))
        return first if first > _LONG_LOOK_S else _timed(lambda: look(state))
