"""Looks at a model in training: health of the representation, and whatever monitors were handed in."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch

from twofold.console import warn
from twofold.data import ImageSet
from twofold.hardware.device import Hardware
from twofold.losses import contrast_accuracy
from twofold.recipes.recipe import Recipe
from twofold.runs.metrics_log import Row
from twofold.training.health import collapse_warning, health
from twofold.training.step import TrainState, make_views
from twofold.views import build_policy, sample_views

Monitor = Callable[[torch.nn.Module, int], dict[str, float]]

_IMAGES = 512
_STEP = 2**40  # its views are drawn as those of a step that no run reaches


def build_look(
    log: Callable[[Row], None], recipe: Recipe, hardware: Hardware, images: ImageSet, monitors: Sequence[Monitor]
) -> Callable[[TrainState], dict[str, float]]:
    """A function of the state that measures, logs and warns on collapse.

    The same pictures and views every time, so that the lines are comparable; weights and buffers stay as they are.
    Positive pairs are found by the similarity that the loss takes, so by inner products without `normalize`; health is
    measured on unit rows always.
    """
    rows = images.rows("train")
    batch = images.read(rows[:: max(1, len(rows) // _IMAGES)][:_IMAGES])
    draws = sample_views(build_policy(recipe.views), len(batch.images), seed=recipe.schedule.seed, step=_STEP)

    def look(state: TrainState) -> dict[str, float]:
        # a compiler would begin anew for every size of batch, and save less than that takes
        with torch.compiler.set_stance("force_eager") if recipe.hardware.compile else nullcontext():
            return measure(state)

    def measure(state: TrainState) -> dict[str, float]:
        model = state.model
        model.eval()
        with torch.inference_mode(), hardware.autocast():
            x = make_views(batch, draws, recipe.views, hardware)
            outputs = [model(part) for part in x.split(256)]
        h, z = torch.cat([o[0] for o in outputs]).float(), torch.cat([o[1] for o in outputs]).float()
        z_a, z_b = z.chunk(2)
        measures = health(h, z_a, z_b)
        warning = collapse_warning(measures) if state.step else None
        measures["pair_accuracy"] = float(contrast_accuracy(z_a, z_b, normalize=recipe.loss.normalize))
        for monitor in monitors:
            measures |= monitor(model.encoder, state.step)
        model.train()
        log({"step": state.step, "epoch": epochs_of(state.step, recipe, images), **measures})
        if warning:
            warn(f"at step {state.step:,} {warning}")
        return measures

    return look


def epochs_of(step: int, recipe: Recipe, images: ImageSet) -> float:
    """How often each training picture has been shown after `step` steps, on average."""
    return step * recipe.schedule.batch_size / len(images.rows("train"))
