"""Measurements before a run begins, on a state of their own: how long a step takes, and how much memory."""

import time

from twofold.data import ImageBatch
from twofold.distributed import Share, World
from twofold.errors import TwofoldError
from twofold.recipe import Recipe
from twofold.runtime.device import Hardware
from twofold.runtime.peak import PeakMemory
from twofold.runtime.randomness import forked_random
from twofold.training import TrainState, build_state, train_step

_TRIAL_LR = 1e-9
_MOST_STEPS = 60


def measure_step_s(
    recipe: Recipe, hardware: Hardware, world: World, share: Share, batch: ImageBatch, *, seconds: float = 6.0
) -> float:
    """Median duration of a training step in seconds, measured for about `seconds`, or by one step if that is longer."""
    state = build_state(recipe, hardware, peak=_TRIAL_LR, world=world)

    def timed() -> float:
        start = time.monotonic()
        _step(state, recipe, hardware, world, share, batch)
        return time.monotonic() - start

    with forked_random(hardware.device):
        first, rest = timed(), []
        if world.from_first(lambda: first) <= seconds:
            second = timed()
            count = world.from_first(lambda: min(_MOST_STEPS, max(3, round(seconds / second))))
            rest = sorted(timed() for _ in range(count))
    return world.from_first(lambda: rest[len(rest) // 2] if rest else first)


def choose_chunk(recipe: Recipe, hardware: Hardware, world: World, batch: ImageBatch, *, memory: int) -> int:
    """The most images of the global batch that can go through the model together in `memory` bytes a process.

    Measured with steps of two chunks each, the chunk doubled until the next would not fit: a straight line through the
    last two peaks tells. `batch` holds this process' images of one step.
    Raises TwofoldError where not even the smallest chunk fits.
    """
    whole, unit = recipe.schedule.batch_size, 2 * world.size
    state, rest = build_state(recipe, hardware, peak=_TRIAL_LR, world=world), _beside_the_chunks(recipe, batch)
    smaller, chunk = (0, 0), unit
    while True:
        share = world.share(min(2 * chunk, whole), chunk)
        with forked_random(hardware.device), PeakMemory(hardware.device) as peak:
            _step(state, recipe, hardware, world, share, batch.part(slice(0, len(share.positions))))
        taken = world.highest(peak.bytes + rest)
        slope = (taken - smaller[1]) / (chunk - smaller[0])
        if smaller[0] and (2 * chunk >= whole or taken + slope * chunk > memory):
            break
        smaller, chunk = (chunk, taken), 2 * chunk
    if slope <= 0:
        return whole
    most = int(chunk + (memory - taken) / slope) // unit * unit
    if most < unit:
        raise TwofoldError(
            f"memory is {recipe.hardware.memory}, but a chunk of {chunk} images takes {taken / 2**20:,.0f} MiB "
            "(measured). Give more --memory, a smaller --batch-size or a smaller --encoder."
        )
    return min(most, whole)


def _beside_the_chunks(recipe: Recipe, batch: ImageBatch) -> int:
    """Bytes that grow with the batch and not with the chunk: pictures read ahead, and z in its stages."""
    pictures = 3 * batch.images.numel()
    z = 8 * 2 * recipe.schedule.batch_size * recipe.head.z_dim * 4
    return pictures + z


def _step(state: TrainState, recipe: Recipe, hardware: Hardware, world: World, share: Share, batch: ImageBatch) -> None:
    result = train_step(
        state,
        batch,
        lr=_TRIAL_LR,
        views=recipe.views,
        loss=recipe.loss,
        seed=recipe.schedule.seed,
        hardware=hardware,
        world=world,
        share=share,
    )
    result["loss"].item()
