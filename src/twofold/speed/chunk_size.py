"""How many images go through the model together: the largest chunk whose step fits into memory, measured."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import torch

from twofold.console import say
from twofold.data import ImageBatch
from twofold.distributed import Share, World
from twofold.errors import TwofoldError, is_out_of_memory, said_of
from twofold.hardware.allocator import return_freed_memory
from twofold.hardware.device import Hardware
from twofold.hardware.peak_memory import PeakMemory, available_memory
from twofold.hardware.randomness import forked_random
from twofold.recipes.recipe import Recipe
from twofold.speed.step_time import TRIAL_LR
from twofold.training.graph import build_step
from twofold.training.step import StepSetup, build_state, train_step

_LESS = 0.9  # a chunk that takes too much shrinks at least to this share
_OF_FREE = 0.9  # what `--chunk auto` plans with; pieces that torch cannot use again take the rest


def memory_for_chunks(recipe: Recipe, hardware: Hardware, world: World) -> int | None:
    """Bytes that a process may take where the recipe leaves the chunk to a measurement, or None.

    The recipe's `memory`, or for a chunk of "auto" 90 % of what is free on the GPU. Raises TwofoldError for "auto"
    where nothing tells how much that is.
    """
    if recipe.hardware.memory_bytes is not None or recipe.schedule.chunk != "auto":
        return recipe.hardware.memory_bytes
    free = available_memory(hardware.device)
    if free is None:
        raise TwofoldError(
            f"chunk is 'auto', but '{hardware.device}' does not tell how much memory is free; a CUDA GPU does. Give "
            "--chunk 64 or --memory 8GiB."
        )
    return int(_OF_FREE * -world.highest(-free))


def choose_chunk(recipe: Recipe, hardware: Hardware, world: World, batch: ImageBatch, *, memory: int) -> int:
    """The most images of the global batch that can go through the model together in `memory` bytes a process.

    Measured with steps of two chunks each, the chunk doubled until the next would not fit: a straight line through the
    last two peaks tells. `batch` holds this process' images of one step. On a GPU, no more than is free there.
    Nothing is compiled: each size would be compiled anew, and after eight of them torch gives up and compiles no more,
    the run's own step neither; `fitted_step_s` measures that one.
    Raises TwofoldError where not even the smallest chunk fits.
    """
    if recipe.hardware.compile and hardware.device.type != "cuda":
        say("memory: measured without compiling; what is compiled keeps fewer results")
    recipe, hardware = recipe.with_settings(compile=False), replace(hardware, compiled=False)
    whole, unit = recipe.schedule.batch_size, 2 * world.size
    memory = _limited(memory, hardware.device, world)
    state = build_state(recipe, hardware, peak=TRIAL_LR, world=world)
    rest = _beside_the_chunks(recipe, hardware, batch)
    smaller, chunk = (0, 0), unit
    while True:
        return_freed_memory()  # what the smaller chunks left in pieces
        share = world.share(min(2 * chunk, whole), chunk)
        with forked_random(hardware.device), PeakMemory(hardware.device) as peak:
            step = build_step(train_step, state, StepSetup.of(recipe, hardware, world, share))
            step(batch.part(slice(0, len(share.positions))), lr=TRIAL_LR)
        taken = world.highest(peak.bytes + rest)
        slope = (taken - smaller[1]) / (chunk - smaller[0])
        if smaller[0] and (2 * chunk >= whole or taken + slope * chunk > memory):
            break
        smaller, chunk = (chunk, taken), 2 * chunk
    if slope <= 0:
        return whole
    most = int(chunk + (memory - taken) / slope) // unit * unit
    if most < unit:
        raise _too_little(recipe.hardware.memory or f"{memory / 2**20:,.0f} MiB", chunk, taken)
    return min(most, whole)


def fitted_step_s(
    measure: Callable[[Share], float],
    chunk: int,
    *,
    batch_size: int,
    world: World,
    device: torch.device,
    memory: int,
) -> tuple[int, float]:
    """The chunk, made smaller until the run's own step fits into `memory`, and that step's seconds.

    `measure` takes steps as the run will, compiled if it is. Where memory runs out, the chunk is halved; where a GPU's
    memory, which is watched, goes beyond `memory`, it shrinks in proportion. With several processes running out is an
    error: the others would wait for the one that failed. Raises TwofoldError where the smallest chunk takes more.
    """
    unit = 2 * world.size
    while True:
        try:
            with ExitStack() as stack:
                peak = stack.enter_context(PeakMemory(device)) if device.type == "cuda" else None
                step_s = measure(world.share(batch_size, chunk))
            taken = world.highest(peak.bytes) if peak else 0
            if taken <= memory:
                return chunk, step_s
            if chunk <= unit:
                raise _too_little(f"{memory / 2**20:,.0f} MiB", chunk, taken)
            reason, share = f"take {taken / 2**20:,.0f} MiB of {memory / 2**20:,.0f}", min(_LESS, memory / taken)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or world.size > 1 or chunk <= unit:
                raise
            reason, share = f"do not fit ({said_of(error)})", 0.5
        smaller = max(unit, int(share * chunk) // unit * unit)
        say(f"chunk: {chunk:,} images {reason}; {smaller:,} are tried")
        chunk = smaller
        return_freed_memory()


def _too_little(memory: str, chunk: int, taken: int) -> TwofoldError:
    return TwofoldError(
        f"memory is {memory}, but a chunk of {chunk} images takes {taken / 2**20:,.0f} MiB (measured). Give more "
        "--memory, a smaller --batch-size or a smaller --encoder."
    )


def _limited(memory: int, device: torch.device, world: World) -> int:
    """`memory`, or what this process can have of the GPU at most, where that is less."""
    available = available_memory(device)
    least = memory if available is None else -world.highest(-min(memory, available))
    if least < memory:
        say(f"memory: {least / 2**20:,.0f} MiB are free on '{device}', and no more is planned with")
    return least


def _beside_the_chunks(recipe: Recipe, hardware: Hardware, batch: ImageBatch) -> int:
    """Bytes that grow with the batch and not with the chunk: z in its stages, and images read ahead on the CPU."""
    images = 3 * batch.images.numel() if hardware.device.type == "cpu" else 0  # a GPU is sent a chunk's at a time
    z = 8 * 2 * recipe.schedule.batch_size * recipe.head.z_dim * 4
    return images + z
