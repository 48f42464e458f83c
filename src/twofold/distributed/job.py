"""A training job for somebody else's scheduler: what it asks for, with the reason for each figure.

Legend: K processes, one a GPU; n = batch / K images of each.
"""

import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from twofold.errors import TwofoldError
from twofold.recipes.recipe import Recipe

_START_H = 0.5  # decoding, measuring, the report
_RESERVE = 1.1  # looks, checkpoints, one restart
_PROCESS_GIB, _DECODING_GIB = 4, 1
_AHEAD = 3  # batches that a process holds: the one in use and two that were read ahead
_CORES_PER_GPU = 8
_MOST_IN_NAME = 40


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of `twofold pretrain` on `nodes` machines with `gpus` GPUs each.

    `memory_gib` is host memory and `cpus` are cores, both of one machine; after `hours` the scheduler ends the job.
    `arguments` are those of `twofold pretrain`, as a shell reads them. `assumed` says where each figure comes from.
    """

    name: str
    nodes: int
    gpus: int
    gpu: str | None
    hours: int
    memory_gib: int
    cpus: int
    image: str | None
    data: str
    out: str
    arguments: str
    assumed: tuple[str, ...]


def plan_job(
    recipe: Recipe,
    *,
    data: str,
    out: str,
    flags: Sequence[str],
    nodes: int,
    gpus: int,
    gpu: str | None,
    image: str | None,
    images: int | None,
    images_per_s: float | None,
) -> Job:
    """A job for a recipe. `flags` are those of `twofold pretrain` that come after DATA and --out.

    Time is `minutes` of the recipe, or `images` x epochs / `images_per_s`, a speed measured over all GPUs.
    Raises TwofoldError where neither tells it.
    """
    hours, why_hours = _hours(recipe, images, images_per_s)
    memory, why_memory = _memory_gib(recipe, nodes * gpus, gpus)
    cores = f"{_CORES_PER_GPU * gpus} cores: {_CORES_PER_GPU} for each GPU, to read images (assumed)"
    on_device = "GPU memory is not planned; --chunk auto and --memory measure it where the job runs"
    return Job(
        name=_name(out),
        nodes=nodes,
        gpus=gpus,
        gpu=gpu,
        hours=hours,
        memory_gib=memory,
        cpus=_CORES_PER_GPU * gpus,
        image=image,
        data=data,
        out=out,
        arguments=" ".join([shlex.quote(data), "--out", shlex.quote(out), *flags]),
        assumed=(why_hours, why_memory, cores, on_device),
    )


def _hours(recipe: Recipe, images: int | None, images_per_s: float | None) -> tuple[int, str]:
    schedule = recipe.schedule
    if schedule.minutes is not None:
        training_h, why = schedule.minutes / 60, f"{schedule.minutes:g} minutes of training"
    elif images is not None and images_per_s is not None:
        assert schedule.epochs is not None
        training_h = images * schedule.epochs / images_per_s / 3600
        why = f"{images:,} images x {schedule.epochs:g} epochs / {images_per_s:,.6g} images/s (yours)"
    else:
        raise TwofoldError(
            f"epochs is {schedule.epochs:g}, but how long they take is not known here. Give --minutes, or --images "
            "and --images-per-s over all GPUs, as 'twofold bench' or metrics.jsonl measured it."
        )
    hours = math.ceil(training_h * _RESERVE + _START_H)
    return (
        hours,
        f"{hours} h: {why} = {training_h:.3g} h, + 10 % + {_START_H:g} h for decoding and the report (assumed)",
    )


def _memory_gib(recipe: Recipe, processes: int, gpus: int) -> tuple[int, str]:
    """Of one machine. A batch lies in page-locked memory, which comes in powers of two."""
    canvas = recipe.data.channels * (2 * recipe.stored_px) ** 2
    batch = 2 ** math.ceil(math.log2(recipe.schedule.batch_size // processes * canvas))
    gib = math.ceil(_DECODING_GIB + gpus * (_PROCESS_GIB + _AHEAD * batch / 2**30))
    batches = f"{_AHEAD} batches of {batch / 2**30:.2g} GiB, images up to {2 * recipe.stored_px} px a side"
    why = f"{gib} GiB: {gpus} processes x ({_PROCESS_GIB} GiB + {batches}) + {_DECODING_GIB} GiB to decode (assumed)"
    return gib, why


def _name(out: str) -> str:
    """What all schedulers take as a name: lower-case letters, digits and dashes, a letter first."""
    plain = re.sub(r"[^a-z0-9]+", "-", out.rstrip("/").rsplit("/", 1)[-1].lower()).strip("-")
    return f"twofold-{plain}"[:_MOST_IN_NAME].rstrip("-")
