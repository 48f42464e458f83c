"""What this machine can do with these pictures: encoders and batch sizes measured, one of them recommended."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from twofold.data import ImageSet
from twofold.distributed import World
from twofold.errors import TwofoldError
from twofold.profiling import profile_steps
from twofold.recipe import Recipe
from twofold.runtime.device import Hardware
from twofold.runtime.memory import return_freed_memory
from twofold.runtime.peak import PeakMemory
from twofold.training import build_state

ENCODERS = (("resnet10", 0.5), ("resnet10", 1.0), ("resnet18", 1.0), ("resnet50", 1.0))
BATCH_SIZES = (64, 128, 256, 512)
ENOUGH_EPOCHS = 30  # a larger encoder is worth it only where every picture is still seen this often
_NEAR = 0.95  # batch sizes within 5 % of the fastest are as good
_STEPS_PER_TRIAL = 6  # two that warm up, three that count, and the start
_MATRIX = {"cpu": 2048, "cuda": 8192, "mps": 4096}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One encoder at one batch size. Shares are of a step's time; `matrix_share` is the encoder's rate of
    multiplications over that of one large matrix product in the same precision."""

    encoder: str
    width: float
    batch_size: int
    images_per_s: float
    encoder_share: float
    wait_share: float
    matrix_share: float
    peak_bytes: int | None
    flops_per_view: int

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.encoder} x {self.width:g}"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """All trials, the matrix rate in FLOP/s, the recommended trial and why."""

    trials: list[Trial]
    matrix_flops: float
    choice: Trial
    why: str
    skipped: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def bench_encoders(
    recipe: Recipe, hardware: Hardware, images: ImageSet, *, seconds: float, say: Callable[[str], None]
) -> Bench:
    """Measure the recipe's encoder and larger ones at several batch sizes, in about `seconds` altogether.

    Real training steps on the pictures themselves. An encoder's next batch size is left out where it would not fit
    into the encoder's share of the time, or where a batch would be more than a quarter of the pictures.
    Raises TwofoldError where there are too few pictures for a batch.
    """
    end = time.monotonic() + seconds
    count = len(images.rows("train"))
    sizes = [size for size in BATCH_SIZES if size * 4 <= count] or [max(2, count // 4)]
    if count < 8:
        raise TwofoldError(f"the data hold {count} training pictures, but a benchmark needs at least 8. Give more.")
    rate = matrix_flops(hardware)
    say(f"A matrix product in {hardware.precision}: {rate / 1e9:,.0f} GFLOP/s")
    encoders = list(_encoders(recipe))
    trials: list[Trial] = []
    skipped: list[str] = []
    for place, (encoder, width) in enumerate(encoders):
        chosen = recipe.with_settings(encoder=encoder, width=width)
        own_end = time.monotonic() + max(0.0, end - time.monotonic()) / (len(encoders) - place)
        flops = flops_per_view(chosen, hardware)
        step_s = 2 * sizes[0] * flops / (rate / 2)
        for size in sizes:
            if time.monotonic() + _STEPS_PER_TRIAL * step_s > own_end and (trials or size > sizes[0]):
                skipped.append(f"{encoder} x {width:g} from batch {size} on")
                break
            trial = _try(chosen.with_settings(batch_size=size), hardware, images, flops, rate, seconds / 20)
            say(_line(trial))
            trials.append(trial)
            step_s = 2 * size / trial.images_per_s
    choice, why = recommend(trials, images=count, minutes=recipe.schedule.minutes)
    return Bench(trials=trials, matrix_flops=rate, choice=choice, why=why, skipped=skipped)


def recommend(trials: Sequence[Trial], *, images: int, minutes: float | None) -> tuple[Trial, str]:
    """The trial to use, and why.

    Each encoder's largest batch within 5 % of its fastest; of the encoders the one with most multiplications that
    shows each of `images` pictures at least ENOUGH_EPOCHS times in `minutes` (reference part 6: larger encoders gain
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
        why = f"the largest encoder here that sees each of {images:,} pictures {ENOUGH_EPOCHS} times"
    else:
        chosen = max(best.values(), key=lambda t: t.images_per_s)
        why = f"the fastest encoder; none here sees each of {images:,} pictures {ENOUGH_EPOCHS} times"
    return chosen, f"{why} in {minutes:g} minutes ({epochs[chosen.name]:,.0f} times)"


def matrix_flops(hardware: Hardware) -> float:
    """FLOP/s of a large square matrix product in the run's precision: the median of what fits in a second."""
    size = _MATRIX[hardware.device.type]
    dtype = torch.bfloat16 if hardware.precision == "bf16" else torch.float32
    a, b = (torch.randn(size, size, device=hardware.device).to(dtype) for _ in range(2))
    taken: list[float] = []
    begin = time.monotonic()
    while len(taken) < 5 or time.monotonic() - begin < 1.0:
        start = time.monotonic()
        (a @ b)[0, 0].item()  # waits for the device
        taken.append(time.monotonic() - start)
    return 2 * size**3 / median(taken)


def flops_per_view(recipe: Recipe, hardware: Hardware) -> int:
    """Multiplications and additions of encoder and head for one view, forward and backward."""
    model = build_state(recipe, hardware, peak=1.0, world=World()).model
    side = recipe.views.size_px
    x = torch.rand(2, recipe.data.channels, side, side, device=hardware.device)
    with FlopCounterMode(display=False) as counter:
        model(x)[1].sum().backward()
    return int(counter.get_total_flops()) // 2


def bench_table(found: Bench) -> Table:
    """All trials, the recommended one marked."""
    caption = (
        "* recommended. share: encoder and head in a step's time. wait: for pictures. matrix: the encoder's "
        "rate over that of one large matrix product. MiB: most memory of the process."
    )
    table = Table(
        title="\nMeasured, median step", title_justify="left", caption=caption, caption_justify="left", box=None
    )
    table.add_column("encoder x width", no_wrap=True)
    for head in ("batch", "images/s", "share", "wait", "matrix", "MiB"):
        table.add_column(head, justify="right", no_wrap=True)
    for trial in found.trials:
        table.add_row(
            f"{'*' if trial == found.choice else ' '} {trial.name}",
            f"{trial.batch_size}",
            f"{trial.images_per_s:,.0f}",
            f"{trial.encoder_share:.1%}",
            f"{trial.wait_share:.1%}",
            f"{trial.matrix_share:.0%}",
            "" if trial.peak_bytes is None else f"{trial.peak_bytes / 2**20:,.0f}",
        )
    return table


def _encoders(recipe: Recipe) -> Iterator[tuple[str, float]]:
    own = (recipe.encoder.encoder, recipe.encoder.width)
    yield own
    if ":" not in own[0]:
        yield from (one for one in ENCODERS if one != own)


def _try(recipe: Recipe, hardware: Hardware, images: ImageSet, flops: int, rate: float, seconds: float) -> Trial:
    return_freed_memory()
    size = recipe.schedule.batch_size
    profile = profile_steps(
        recipe,
        hardware,
        images,
        world=World(),
        share=World().share(size, None),
        steps=1000,
        seconds=seconds,
        measure_memory=PeakMemory.works(hardware.device),
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


def _line(trial: Trial) -> str:
    return f"  {trial.name}, batch {trial.batch_size}: {trial.images_per_s:,.0f} images/s"
