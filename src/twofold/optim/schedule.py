"""The learning rate as a pure function of the step (reference 3.2)."""

import math

from twofold.errors import TwofoldError
from twofold.recipes.recipe import OptimRecipe


def peak_lr(recipe: OptimRecipe, batch_size: int) -> float:
    """The highest learning rate: base_lr * B/256 (linear), base_lr * sqrt(B) (sqrt) or base_lr (none).

    B counts images a step over all processes, not views. Source: paper, section 2.2 and appendix B.1; reference 3.2.
    """
    factors = {"linear": batch_size / 256, "sqrt": math.sqrt(batch_size), "none": 1.0}
    return recipe.base_lr * factors[recipe.lr_scaling]


def lr_at(step: int, *, steps: int, warmup_steps: int, peak: float) -> float:
    """Learning rate of step 0, 1, ..., steps - 1: linear to `peak`, then half a cosine to 0, without restarts.

        step < warmup_steps:  peak * (step + 1) / warmup_steps
        otherwise:            peak * (1 + cos(pi * (step - warmup_steps) / (steps - warmup_steps))) / 2

    The official warm-up is peak * step / warmup_steps, whose first step has rate 0 and moves nothing; this one is
    a step ahead. From `steps` on the rate is 0. Raises TwofoldError for a negative step or a warm-up longer than the
    run. Source: reference 3.2.

    >>> [round(lr_at(step, steps=6, warmup_steps=2, peak=0.3), 3) for step in range(7)]
    [0.15, 0.3, 0.3, 0.256, 0.15, 0.044, 0.0]
    """
    if step < 0 or not 0 <= warmup_steps <= steps:
        raise TwofoldError(
            f"step is {step}, warmup_steps {warmup_steps} and steps {steps}, but step must be at least 0 and the "
            "warm-up no longer than the run. Change --warmup-fraction or the number of epochs."
        )
    if step >= steps:
        return 0.0
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / (steps - warmup_steps)
    return peak * (1 + math.cos(math.pi * progress)) / 2
