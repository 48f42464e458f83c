"""How long cells take: measured for the base recipe, scaled by how much each of them computes."""

from collections.abc import Callable, Iterable

import numpy as np
import torch

from twofold.data import ImageBatch
from twofold.distributed import World
from twofold.evaluation.schedules import TRAINING_SETTINGS, make_schedule
from twofold.hardware.device import Hardware
from twofold.recipes.recipe import Recipe
from twofold.speed.step_time import MOST_BATCHES, measure_step_s
from twofold.speed.sweep import flops_per_view
from twofold.studies.engine.cell import Cell
from twofold.studies.engine.measures import needs_pretraining
from twofold.studies.engine.scale import Scale

_FORWARD = 1 / 3  # of a step's time, in an embedding
_PROBE_S = 5.0
_MOST_PIXELS = 2**19  # of all first views of a measured step: the speed of a larger batch is that of its parts


def views_per_s(recipe: Recipe, hardware: Hardware, *, seconds: float = 2.0) -> float:
    """Views a second of training steps of the recipe, measured on images of noise."""
    world, side = World(), recipe.views.size_px
    size = min(recipe.schedule.batch_size, max(8, _MOST_PIXELS // side**2))
    recipe = recipe.with_settings(batch_size=size)
    stored = recipe.stored_px
    noise = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (size, recipe.data.channels, stored, stored), "uint8")
    )
    batch = ImageBatch(noise, torch.full((size, 2), stored))
    batches = (batch for _ in range(MOST_BATCHES))
    return 2 * size / measure_step_s(recipe, hardware, world, world.share(size), batch, batches, seconds=seconds)


def build_estimate(
    scale: Scale, hardware: Hardware, *, images: int, asked: int, base_views_per_s: float
) -> Callable[[Iterable[Cell]], float]:
    """A function of cells: seconds that they take together, one after the other. A shared pretraining counts once."""
    costs: dict[tuple[object, ...], int] = {}

    def flops(recipe: Recipe) -> int:
        key = (recipe.encoder, recipe.views.size_px)  # a head adds next to nothing
        if key not in costs:
            costs[key] = flops_per_view(recipe, hardware)
        return costs[key]

    def estimate(cells: Iterable[Cell]) -> float:
        seen: set[str] = set()
        total = 0.0
        for cell in cells:
            recipe = scale.base.with_settings(**cell.settings, seed=cell.seed)
            ratio = flops(recipe) / flops(scale.base)
            labels = min(images, scale.labels or images)
            views = _FORWARD * (labels + asked) + _labelled_views(cell, recipe, images)
            identity = repr(recipe)
            if needs_pretraining(cell):
                views += 0.0 if identity in seen else 2 * images * (recipe.schedule.epochs or 0.0)
                seen.add(identity)
            total += views * ratio / base_views_per_s + _PROBE_S
        return total

    return estimate


def _labelled_views(cell: Cell, recipe: Recipe, images: int) -> float:
    """Views that training with labels takes."""
    if cell.measure == "supervised":
        return images * (recipe.schedule.epochs or 0.0)
    if cell.measure != "trained on labels":
        return 0.0
    options = cell.options
    schedule = make_schedule(
        TRAINING_SETTINGS[options["way"]],
        options["base_lr"],
        labels=max(2, round(options["fraction"] * images)),
        train=images,
        epochs=options.get("epochs"),
    )
    return float(schedule.steps * schedule.batch_size)
