"""What happens now and then in a run: looks, checkpoints, the expected time, embedding."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from gpu_sections.bench import Bench
from gpu_sections.pictures import batch_of, synthetic
from gpu_sections.trainer import Trainer, cifar_recipe, hardware_of
from twofold.data import ImageBatch
from twofold.distributed import World
from twofold.evaluation.features import embed_images
from twofold.runs.checkpoint import load_checkpoint, save_checkpoint
from twofold.speed.step_time import MOST_BATCHES, measure_step_s
from twofold.training.health import effective_rank, health
from twofold.training.step import load_state_dict, state_dict


def misc(bench: Bench) -> None:
    bench.measure("expected time", lambda: _expected_time(bench))
    bench.measure("checkpoint", lambda: _checkpoint(bench))
    bench.measure("embedding, images/s", lambda: _embedding(bench))
    bench.measure("looks, ms", lambda: _looks(bench))


def _expected_time(bench: Bench) -> dict[str, float]:
    """Seconds a step, as they are announced for `--epochs` and as they decide about the steps of `--minutes`."""
    recipe = cifar_recipe(bench)
    size = recipe.schedule.batch_size
    batch, world, hardware = batch_of(size, 32), World(), hardware_of(bench.device)
    return {
        name: measure_step_s(recipe, hardware, world, world.share(size), batch, _again(batch), seconds=seconds)
        for name, seconds in (("announced", 0.2), ("measured", bench.pick(3.0, 0.1)))
    }


def _again(batch: ImageBatch) -> Iterator[ImageBatch]:
    for _ in range(MOST_BATCHES):
        yield batch


def _checkpoint(bench: Bench) -> dict[str, float]:
    """Milliseconds to save one, and how far a step after loading it is from one without."""
    trainer, again = (Trainer(cifar_recipe(bench, 64), hardware_of(bench.device)) for _ in range(2))
    batch = batch_of(trainer.share.batch_size, 32)
    trainer.step(batch)
    start = time.perf_counter()
    save_checkpoint(bench.work / "checkpoints", 1, state_dict(trainer.state))
    saved = time.perf_counter() - start
    values = load_checkpoint(bench.work / "checkpoints")
    assert values is not None
    load_state_dict(again.state, values)
    for one in (trainer, again):
        one.step(batch, lr=0.01)
    weights = again.weights()
    gap = max(float((value - weights[name]).abs().max()) for name, value in trainer.weights().items())
    return {"ms to save": 1e3 * saved, "a step after loading differs by": gap}


def _embedding(bench: Bench) -> float:
    images = synthetic(bench.work, bench.pick(20000, 100), 32)
    trainer, rows = Trainer(cifar_recipe(bench, 64), hardware_of(bench.device)), np.arange(len(images))
    start = time.perf_counter()
    embed_images(trainer.state.model.encoder, images, rows, views=trainer.recipe.views, hardware=trainer.hardware)
    return len(rows) / (time.perf_counter() - start)


def _looks(bench: Bench) -> dict[str, Any]:
    n, row = bench.pick(512, 16), {}
    for dim in bench.pick((512, 2048), (32,)):
        h = torch.randn(2 * n, dim, device=bench.device)
        row[f"effective_rank, {2 * n} x {dim}"] = 1e3 * bench.median_s(lambda h=h: effective_rank(h), 3, 1)
    z = torch.randn(2, n, 128, device=bench.device)
    row["health, all of it"] = 1e3 * bench.median_s(lambda h=h: health(h, z[0], z[1]), 3, 1)
    return row
