"""Large batches, in chunks and at once: the peak of the device's memory, and how long a step takes."""

import time
from typing import Any

import torch

from gpu_sections.bench import Bench
from gpu_sections.pictures import batch_of
from gpu_sections.trainer import Trainer, as_loaded, big_recipe, cifar_recipe, hardware_of
from twofold.distributed import World
from twofold.recipes.recipe import Recipe
from twofold.speed.chunk_size import choose_chunk


def memory(bench: Bench) -> None:
    lars = {"optimizer": "lars"}
    cases = {
        "resnet18 small 32, batch 8192 in chunks of 512": (cifar_recipe(bench, 8192, chunk=512, **lars), 32),
        "resnet50 224, batch 4096 in chunks of 256": (big_recipe(bench, 4096, chunk=256), 256),
        "resnet50 224, batch 512 at once": (big_recipe(bench, 512), 256),
        "resnet18 small 32, batch 8192 in chunks of 2048": (
            cifar_recipe(bench, 8192, chunk=2048, **lars),
            32,
        ),
        "resnet18 small 32, batch 2048 at once": (cifar_recipe(bench, 2048, **lars), 32),
    }
    if bench.tiny:
        cases = {"resnet10, 16 in chunks of 8": (cifar_recipe(bench, 16, chunk=8), 32)}
    for name, (recipe, side_px) in cases.items():
        bench.measure(name, lambda r=recipe, s=side_px: _second_step(bench, r, s), needs_s=8)
    bench.measure("--memory 8GiB picks for resnet18, 4096", lambda: _chosen(bench), needs_s=8)
    if bench.on_gpu:
        bench.measure("a batch that does not fit raises", lambda: _too_large(bench), needs_s=8)


def _second_step(bench: Bench, recipe: Recipe, side_px: int) -> dict[str, float]:
    bench.free()
    trainer = Trainer(recipe, hardware_of(bench.device))
    batch = as_loaded(bench, batch_of(recipe.schedule.batch_size, side_px))
    for _ in range(2):
        bench.sync()
        start = time.perf_counter()
        trainer.step(batch)
        bench.sync()
        seconds = time.perf_counter() - start
    row = {"s of the second step": seconds, "images/s": recipe.schedule.batch_size / seconds}
    if bench.on_gpu:
        free, whole = torch.cuda.mem_get_info()
        row |= {
            "peak allocated GiB": torch.cuda.max_memory_allocated() / 2**30,
            "peak reserved GiB": torch.cuda.max_memory_reserved() / 2**30,
            "used on the card GiB": (whole - free) / 2**30,
        }
    return row


def _chosen(bench: Bench) -> dict[str, Any]:
    gib, batch_size = bench.pick((8, 4096), (4, 16))
    recipe = cifar_recipe(bench, batch_size, memory=f"{gib}GiB")
    start = time.perf_counter()
    batch = batch_of(batch_size, 32)
    chunk = choose_chunk(recipe, hardware_of(bench.device), World(), batch, memory=gib * 2**30)
    return {"chunk": chunk, "s": time.perf_counter() - start}


def _too_large(bench: Bench) -> str:
    try:
        Trainer(big_recipe(bench, 4096), hardware_of(bench.device)).step(batch_of(4096, 224))
    except Exception as error:
        return f"{type(error).__module__}.{type(error).__name__}: {str(error)[:300]}"
    return "nothing: it fitted"
