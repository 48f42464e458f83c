"""Looks at a model in training: health of the representation, and whatever monitors were handed in."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from twofold.console import warn
from twofold.data import ImageBatch, ImageSet
from twofold.data.held_out import held_out_rows
from twofold.hardware.device import Hardware
from twofold.losses import build_loss, contrast_accuracy
from twofold.recipes.loss import contrast_chance
from twofold.recipes.recipe import Recipe
from twofold.runs.metrics_log import Row
from twofold.training.health import FEWEST_STEPS, collapse_warning, health, learning_warnings
from twofold.training.step import TrainState, make_views
from twofold.views import Draw, build_policy, sample_views

Monitor = Callable[[torch.nn.Module, int], dict[str, float]]

_IMAGES = 512
_STEP = 2**40  # its views are drawn as those of a step that no run reaches


def build_look(
    log: Callable[[Row], None],
    recipe: Recipe,
    hardware: Hardware,
    images: ImageSet,
    monitors: Sequence[Monitor],
    *,
    warn_from: int = 1,
) -> Callable[[TrainState], dict[str, float]]:
    """A function of the state that measures, logs, and warns of a collapse and of a run that learns little.

    Each sign that little is learnt is told once, and from the step `warn_from` on: before it, it is no sign. In the
    first 20 steps nothing is warned of.

    The same images and views every time, so that the lines are comparable; weights and buffers stay as they are. The
    loss on held-out images has as many negatives as the one on images of train beside it (`seen_loss`).
    Positive pairs are found by the similarity that the loss takes, so by inner products without `normalize`; health is
    measured on unit rows always.
    """
    rows, held = spread(images.rows("train")), spread(held_out_rows(images))
    batch, others = images.read(rows), images.read(held) if len(held) > 1 else None
    policy, seed = build_policy(recipe.views), recipe.schedule.seed
    draws = sample_views(policy, len(rows), seed=seed, step=_STEP)
    loss = build_loss(recipe.loss)
    told: set[str] = set()

    def look(state: TrainState) -> dict[str, float]:
        # a compiler would begin anew for every size of batch, and save less than that takes
        with torch.compiler.set_stance("force_eager") if recipe.hardware.compile else nullcontext():
            return measure(state)

    def of_views(model: torch.nn.Module, images: ImageBatch, draws: Sequence[Draw]) -> tuple[Tensor, Tensor, Tensor]:
        with torch.inference_mode(), hardware.autocast():
            x = make_views(images, draws, recipe.views, hardware)
            outputs = [model(part) for part in x.split(256)]
        h, z = torch.cat([o[0] for o in outputs]).float(), torch.cat([o[1] for o in outputs]).float()
        z_a, z_b = z.chunk(2)
        return h, z_a, z_b

    def measure(state: TrainState) -> dict[str, float]:
        model = state.model
        model.eval()
        h, z_a, z_b = of_views(model, batch, draws)
        measures = health(h, z_a, z_b)
        if others is not None:
            _, own_a, own_b = of_views(model, others, sample_views(policy, len(held), seed=seed, step=_STEP + 1))
            n = min(len(held), len(rows))
            for name, a, b in (("held_out_loss", own_a, own_b), ("seen_loss", z_a, z_b)):
                places = spread(np.arange(len(a)), n)  # of all classes: rows are often sorted by them
                measures[name] = float(loss(a[places], b[places], (0, n)))
        warning = collapse_warning(measures) if state.step >= FEWEST_STEPS else None
        measures["pair_accuracy"] = float(contrast_accuracy(z_a, z_b, normalize=recipe.loss.normalize))
        measures["pair_chance"] = contrast_chance(len(rows))
        if chance := recipe.loss.chance(len(rows)):
            measures["loss_share"] = float(loss(z_a, z_b, (0, len(rows)))) / chance
        for monitor in monitors:
            measures |= monitor(model.encoder, state.run_step)
        model.train()
        log({"step": state.run_step, "epoch": epochs_of(state, recipe, images), **measures})
        if warning:
            warn(f"at step {state.run_step:,} {warning}")
        elif state.step >= max(warn_from, FEWEST_STEPS):
            for name, sentence in learning_warnings(measures).items():
                if name not in told:
                    told.add(name)
                    warn(f"at step {state.run_step:,} {sentence}")
        return measures

    return look


def spread(rows: Int64[np.ndarray, " k"], most: int = _IMAGES) -> Int64[np.ndarray, " m"]:
    """At most so many of the rows, evenly spread from the first to the last."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]


def epochs_of(state: TrainState, recipe: Recipe, images: ImageSet) -> float:
    """How often each training image has been shown so far, on average."""
    return state.first_epoch + state.step * recipe.schedule.batch_size / len(images.rows("train"))
