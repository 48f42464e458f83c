"""From a recipe and what was found to the numbers of a run, each with the formula that gave it."""

import math
from dataclasses import dataclass

import torch

from twofold.data import ImageSet
from twofold.data.copies import Copies
from twofold.data.slides import Slides
from twofold.errors import TwofoldError
from twofold.losses import loss_version
from twofold.optim import peak_lr
from twofold.recipes.recipe import LossRecipe, Recipe, ScheduleRecipe

_CPU = torch.device("cpu")
_HELD = {
    "dense": "in memory",
    "tiled": "a tile at a time, never in memory as a whole",
    "blocks": "some rows at a time, never in memory as a whole",
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the training loop needs to know beyond the recipe."""

    steps: int
    warmup_steps: int
    peak: float
    chunk: int | None = None
    copies: str | None = None  # digest of the known copies that are kept apart
    derived: dict[str, str]


def make_plan(
    recipe: Recipe,
    *,
    images: int,
    step_s: float,
    resident_bytes: int = 0,
    look_s: float = 0.0,
    processes: int = 1,
    chunk: int | None = None,
    device: torch.device = _CPU,
    copies: Copies | Slides | None = None,
) -> Plan:
    """Steps, warm-up and learning rate of a run on `images` images whose step takes `step_s` seconds.

    A run by minutes leaves time for its looks, of `look_s` seconds each, but no more than half of all.
    `chunk` is the resolved one: the recipe's, or what was found to fit in memory. How the loss is computed depends on
    the `device`.
    """
    schedule, optim = recipe.schedule, recipe.optim
    if schedule.epochs is not None:
        steps = max(1, math.floor(images * schedule.epochs / schedule.batch_size))
        formula = f"{images:,} images x {schedule.epochs:g} epochs / {schedule.batch_size} = {steps:,}"
    else:
        assert schedule.minutes is not None
        whole_s = schedule.minutes * 60
        looks_s = min(most_looks(recipe) * look_s, whole_s / 2)
        steps = max(1, math.floor((whole_s - looks_s) / step_s))
        epochs = steps * schedule.batch_size / images
        time = f"({schedule.minutes:g} min - {looks_s:.2g} s of looks)" if looks_s else f"{schedule.minutes:g} min"
        formula = f"{time} / {step_s:.3g} s a step (measured) = {steps:,} = {epochs:.1f} epochs"
    warmup = round(steps * optim.warmup_fraction)
    peak = peak_lr(optim, schedule.batch_size)
    return Plan(
        steps=steps,
        warmup_steps=warmup,
        peak=peak,
        chunk=chunk,
        copies=copies.digest if copies else None,
        derived={
            "steps": formula,
            "warm-up": f"{optim.warmup_fraction:g} x {steps:,} steps = {warmup:,}",
            "lr": f"{_lr_formula(recipe)} = {peak:.4g}, cosine to 0",
            **_candidates(recipe.loss, schedule.batch_size),
            **_portions(recipe.loss, schedule.batch_size, chunk, processes, device),
            **_undivided(schedule, chunk),
            **_residence(images, resident_bytes, device),
            **({copies.name: copies.sentence()} if copies else {}),
        },
    )


def most_looks(recipe: Recipe) -> int:
    """How often a run with more steps than looks is looked at: before the first step, and after each share of them."""
    return 1 + math.ceil(1 / recipe.monitor.monitor_share)


def _candidates(loss: LossRecipe, batch_size: int) -> dict[str, str]:
    """How many negatives a view has, and the loss where all similarities are equal."""
    kept = ", of which the semi-hard count" if loss.semi_hard else ""
    lines = {"negatives": f"2 x {batch_size} - 2 = {2 * batch_size - 2:,} for each view{kept}"}
    chance = loss.chance(batch_size)
    if chance is not None:
        lines["chance loss"] = f"ln(2 x {batch_size} - {1 if loss.loss == 'nt-xent' else 2}) = {chance:.3f}"
    return lines


def _portions(
    loss: LossRecipe, batch_size: int, chunk: int | None, processes: int, device: torch.device
) -> dict[str, str]:
    """How the batch is divided, and what that means for the gradient."""
    rows, columns = 2 * batch_size // processes, 2 * batch_size
    version = loss_version(loss, batch_size, batch_size // processes, device)
    lines = {"loss": f"{version}: {rows:,} x {columns:,} logits, {_HELD[version]}"}
    if chunk and chunk < batch_size:
        lines["chunks"] = (
            f"{batch_size:,} images in {-(-batch_size // chunk):,} chunks of {chunk:,}: the gradient of the whole "
            "batch (every view meets all others in the loss), with batch norm per chunk"
        )
    if processes > 1:
        lines["processes"] = (
            f"{processes} x {batch_size // processes:,} images: negatives, gradients and batch norm over all processes"
        )
    return lines


def _undivided(schedule: ScheduleRecipe, chunk: int | None) -> dict[str, str]:
    """What became of a chunk that was asked for by "auto", where no chunks were needed."""
    if schedule.chunk != "auto" or (chunk and chunk < schedule.batch_size):
        return {}
    return {"chunks": f"none: {schedule.batch_size:,} images at once fit into memory (measured)"}


def _residence(images: int, taken: int, device: torch.device) -> dict[str, str]:
    if not taken:
        return {}
    return {"images": f"{images:,} on '{device}', where batches are gathered: {taken / 2**20:,.0f} MiB"}


def require_enough(images: ImageSet, batch_size: int) -> None:
    """Raises TwofoldError where no batch can be made: fewer than two training images, or a batch larger than that."""
    count = len(images.rows("train"))
    if count == 0 and len(images):
        others = ", ".join(sorted(set(images.splits)))
        raise TwofoldError(
            f"all {len(images):,} images of '{images.name}' lie in the split {others}, but pretraining reads train/ "
            "alone. Give that folder itself, or rename it."
        )
    if count < 2:
        raise TwofoldError(
            f"the data hold {count} readable training image{'s' if count != 1 else ''}, but contrast needs at "
            "least 2, and a useful encoder some hundreds. Give a folder with more images."
        )
    if batch_size > count:
        raise TwofoldError(
            f"batch_size is {batch_size}, but there are {count} training images, and a batch shows each at most "
            f"once. Choose --batch-size {count} or less."
        )


def _lr_formula(recipe: Recipe) -> str:
    base, batch = recipe.optim.base_lr, recipe.schedule.batch_size
    formulas = {"linear": f"{base:g} x {batch}/256", "sqrt": f"{base:g} x sqrt({batch})", "none": f"{base:g}"}
    return formulas[recipe.optim.lr_scaling]
