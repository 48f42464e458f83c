"""From a recipe and what was found to the numbers of a run, each with the formula that gave it."""

import math
from dataclasses import dataclass

from twofold.errors import TwofoldError
from twofold.optim import peak_lr
from twofold.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the training loop needs to know beyond the recipe."""

    steps: int
    warmup_steps: int
    peak: float
    steps_per_epoch: int
    derived: dict[str, str]


def make_plan(recipe: Recipe, *, images: int, step_s: float) -> Plan:
    """Steps, warm-up and learning rate of a run on `images` pictures whose step takes `step_s` seconds.

    Raises TwofoldError for fewer than two pictures or a batch larger than the data.
    """
    schedule, optim = recipe.schedule, recipe.optim
    require_enough(images, schedule.batch_size)
    per_epoch = images // schedule.batch_size
    if schedule.epochs is not None:
        steps = max(1, math.floor(images * schedule.epochs / schedule.batch_size))
        formula = f"{images:,} images x {schedule.epochs:g} epochs / {schedule.batch_size} = {steps:,}"
    else:
        assert schedule.minutes is not None
        steps = max(1, math.floor(schedule.minutes * 60 / step_s))
        formula = (
            f"{schedule.minutes:g} min / {step_s:.3g} s a step (measured) = {steps:,} = {steps / per_epoch:.1f} epochs"
        )
    warmup = round(steps * optim.warmup_fraction)
    peak = peak_lr(optim, schedule.batch_size)
    return Plan(
        steps=steps,
        warmup_steps=warmup,
        peak=peak,
        steps_per_epoch=per_epoch,
        derived={
            "steps": formula,
            "warm-up": f"{optim.warmup_fraction:g} x {steps:,} steps = {warmup:,}",
            "lr": f"{_lr_formula(recipe)} = {peak:.4g}, cosine to 0",
            "negatives": f"2 x {schedule.batch_size} - 2 = {2 * schedule.batch_size - 2:,} for each view",
            "chance loss": f"ln(2 x {schedule.batch_size} - 1) = {math.log(2 * schedule.batch_size - 1):.3f}",
        },
    )


def require_enough(images: int, batch_size: int) -> None:
    """Raises TwofoldError where no batch can be made."""
    if images < 2:
        raise TwofoldError(
            f"the data hold {images} readable training picture{'s' if images != 1 else ''}, but contrast needs at "
            "least 2, and a useful encoder some hundreds. Give a folder with more pictures."
        )
    if batch_size > images:
        raise TwofoldError(
            f"batch_size is {batch_size}, but there are {images} training pictures, and a batch shows each at most "
            f"once. Choose --batch-size {images} or less."
        )


def _lr_formula(recipe: Recipe) -> str:
    base, batch = recipe.optim.base_lr, recipe.schedule.batch_size
    formulas = {"linear": f"{base:g} x {batch}/256", "sqrt": f"{base:g} x sqrt({batch})", "none": f"{base:g}"}
    return formulas[recipe.optim.lr_scaling]
