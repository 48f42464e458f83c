"""What this machine can do with these images: encoders and batch sizes measured, one of them recommended."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import median
from typing import TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

from twofold.data import ImageSet
from twofold.data.resident import ResidentImages
from twofold.distributed import World
from twofold.errors import TwofoldError, is_out_of_memory
from twofold.hardware.allocator import return_freed_memory
from twofold.hardware.device import Hardware
from twofold.hardware.peak_memory import PeakMemory
from twofold.hardware.randomness import forked_random
from twofold.recipes.recipe import Recipe
from twofold.speed.step_profile import GRAPH_NOTE, profile_steps
from twofold.speed.trials import Bench, Failure, Trial, trial_line
from twofold.training.graph import is_recorded
from twofold.training.residence import place_train
from twofold.training.step import StepSetup, build_state

T = TypeVar("T")

ENCODERS = (("resnet10", 0.5), ("resnet10", 1.0), ("resnet18", 1.0), ("resnet50", 1.0))
BATCH_SIZES = (64, 128, 256, 512)
ENOUGH_EPOCHS = 30  # a larger encoder is worth it only where every image is still seen this often
_NEAR = 0.95  # batch sizes within 5 % of the fastest are as good
_STEPS_PER_TRIAL = 6  # two that warm up, one whose memory is watched, three that count
_LONGEST_REASON = 200
_MATRIX = {"cpu": 2048, "cuda": 8192, "mps": 4096}


def bench_encoders(
    recipe: Recipe, hardware: Hardware, images: ImageSet, *, seconds: float, say: Callable[[str], None]
) -> Bench:
    """Measure the recipe's encoder and larger ones at several batch sizes, in about `seconds` altogether.

    Real training steps on the images themselves. An encoder's next batch size is left out where it would not fit
    into the encoder's share of the time, where a smaller one failed (for want of memory, say), or where a batch would
    be more than a quarter of the images.
    Raises TwofoldError where there are too few images for a batch, and where nothing that was tried worked.
    """
    end = time.monotonic() + seconds
    count = len(images.rows("train"))
    sizes = [size for size in BATCH_SIZES if size * 4 <= count] or [max(2, count // 4)]
    if count < 8:
        raise TwofoldError(f"the data hold {count} training images, but a benchmark needs at least 8. Give more.")
    rate = matrix_flops(hardware)
    say(f"A matrix product in {hardware.precision}: {rate / 1e9:,.0f} GFLOP/s")
    alone = World()
    if is_recorded(StepSetup.of(recipe, hardware, alone, alone.share(sizes[0], recipe.schedule.fixed_chunk))):
        say(GRAPH_NOTE.replace("this step", "a step"))
    encoders, resident = list(_encoders(recipe)), place_train(images, recipe, hardware)
    tried: list[Trial | Failure] = []
    skipped: list[str] = []
    for place, (encoder, width) in enumerate(encoders):
        chosen = recipe.with_settings(encoder=encoder, width=width)
        own_end = time.monotonic() + max(0.0, end - time.monotonic()) / (len(encoders) - place)
        flops = _or_failure(chosen.with_settings(batch_size=sizes[0]), partial(flops_per_view, chosen, hardware))
        step_s = 0.0 if isinstance(flops, Failure) else 2 * sizes[0] * flops / (rate / 2)
        for size in sizes:
            begun = size > sizes[0] or any(isinstance(one, Trial) for one in tried)
            if begun and time.monotonic() + _STEPS_PER_TRIAL * step_s > own_end:
                skipped.append(f"{encoder} x {width:g} from batch {size} on")
                break
            if isinstance(flops, Failure):
                one: Trial | Failure = flops
            else:
                own = chosen.with_settings(batch_size=size)
                one = _or_failure(own, partial(_try, own, hardware, images, flops, rate, seconds / 20, resident))
            say(trial_line(one))
            tried.append(one)
            if isinstance(one, Failure):
                break
            step_s = 2 * size / one.images_per_s
    trials = [one for one in tried if isinstance(one, Trial)]
    if not trials:
        raise TwofoldError(_nothing_worked([one for one in tried if isinstance(one, Failure)]))
    choice, why = recommend(trials, images=count, minutes=recipe.schedule.minutes)
    return Bench(tried=tried, matrix_flops=rate, choice=choice, why=why, skipped=skipped)


def recommend(trials: Sequence[Trial], *, images: int, minutes: float | None) -> tuple[Trial, str]:
    """The trial to use, and why.

    Each encoder's largest batch within 5 % of its fastest; of the encoders the one with most multiplications that
    shows each of `images` images at least ENOUGH_EPOCHS times in `minutes` (paper, figure 7: larger encoders gain
    more, but need to be trained for long). Where `minutes` is not given, or none is fast enough, the first encoder
    or the fastest.
    """
    best: dict[str, Trial] = {}
    for name in dict.fromkeys(trial.name for trial in trials):
        own = [trial for trial in trials if trial.name == name]
        fastest = max(trial.images_per_s for trial in own)
        best[name] = max((t for t in own if t.images_per_s >= _NEAR * fastest), key=lambda t: t.batch_size)
    if minutes is None:
        return next(iter(best.values())), "the recipe's encoder, at its fastest batch size"
    epochs = {name: trial.images_per_s * minutes * 60 / images for name, trial in best.items()}
    enough = [trial for name, trial in best.items() if epochs[name] >= ENOUGH_EPOCHS]
    if enough:
        chosen = max(enough, key=lambda t: t.flops_per_view)
        why = f"the largest encoder here that sees each of {images:,} images {ENOUGH_EPOCHS} times"
    else:
        chosen = max(best.values(), key=lambda t: t.images_per_s)
        why = f"the fastest encoder; none here sees each of {images:,} images {ENOUGH_EPOCHS} times"
    return chosen, f"{why} in {minutes:g} minutes ({epochs[chosen.name]:,.0f} times)"


def matrix_flops(hardware: Hardware) -> float:
    """FLOP/s of a large square matrix product in the run's precision: the median of what fits in a second."""
    size = _MATRIX[hardware.device.type]
    dtype = torch.bfloat16 if hardware.precision == "bf16" else torch.float32
    with forked_random(hardware.device):
        a, b = (torch.randn(size, size, device=hardware.device).to(dtype) for _ in range(2))
    taken: list[float] = []
    begin = time.monotonic()
    while len(taken) < 5 or time.monotonic() - begin < 1.0:
        start = time.monotonic()
        (a @ b)[0, 0].item()  # waits for the device
        taken.append(time.monotonic() - start)
    return 2 * size**3 / median(taken)


def flops_per_view(recipe: Recipe, hardware: Hardware) -> int:
    """Multiplications and additions of encoder and head for one view, forward and backward; nothing is computed."""
    shapes, side = Hardware(torch.device("meta"), hardware.precision), recipe.views.size_px
    with shapes.device, FlopCounterMode(display=False) as counter:
        model = build_state(recipe.with_settings(compile=False), shapes, peak=1.0, world=World()).model
        model(torch.zeros(2, recipe.data.channels, side, side))[1].sum().backward()
    return int(counter.get_total_flops()) // 2


def _encoders(recipe: Recipe) -> Iterator[tuple[str, float]]:
    own = (recipe.encoder.encoder, recipe.encoder.width)
    yield own
    if ":" not in own[0]:
        yield from (one for one in ENCODERS if one != own)


def _try(
    recipe: Recipe,
    hardware: Hardware,
    images: ImageSet,
    flops: int,
    rate: float,
    seconds: float,
    resident: ResidentImages | None = None,
) -> Trial:
    return_freed_memory()
    if recipe.hardware.compile:
        torch.compiler.reset()  # for one size, as in training; beyond eight in all torch would compile nothing more
    size = recipe.schedule.batch_size
    profile = profile_steps(
        recipe,
        hardware,
        images,
        world=World(),
        share=World().share(size, recipe.schedule.fixed_chunk),
        steps=1000,
        seconds=seconds,
        measure_memory=PeakMemory.works(hardware.device),
        resident=resident,
    )
    return Trial(
        encoder=recipe.encoder.encoder,
        width=recipe.encoder.width,
        batch_size=size,
        images_per_s=profile.images_per_s,
        encoder_share=profile.encoder_share,
        wait_share=profile.wait_share,
        matrix_share=2 * size * flops / profile.encoder_s / rate,
        peak_bytes=profile.peak_bytes,
        flops_per_view=flops,
    )


def _or_failure(recipe: Recipe, work: Callable[[], T]) -> T | Failure:
    """What `work` gives, or how it failed. What it held is free again afterwards."""
    try:
        return work()
    except (MemoryError, RuntimeError, TwofoldError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        failure = Failure(
            encoder=recipe.encoder.encoder,
            width=recipe.encoder.width,
            batch_size=recipe.schedule.batch_size,
            out_of_memory=is_out_of_memory(error),
            reason=text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]} ...",
        )
    return_freed_memory()  # here and not above, where the error's traceback still holds everything
    return failure


def _nothing_worked(failed: Sequence[Failure]) -> str:
    one = failed[0]
    fix = "Give --chunk 32, or a smaller --size-px" if one.out_of_memory else "Choose another --encoder"
    reason = one.reason.rstrip(".")
    return f"none of {len(failed)} trials worked: {one.name} with batch {one.batch_size}: {reason}. {fix}."
