"""Large batches in chunks: peak memory of the process and images/s for batches of 256 to 8192.

Run it alone on a quiet machine:  python benchmarks/batch.py           (about 25 minutes on two cores)
ResNet-18 with the small-image stem, views of 32 x 32, LARS: `cifar10-resnet18` at other batch sizes. Memory is taken in
a process each; the price per image against a direct step of 256 in one process, in turn.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from results import machine, save

from twofold.data import ImageBatch
from twofold.distributed import World
from twofold.hardware.allocator import keep_freed_memory
from twofold.hardware.device import Hardware, resolve_hardware
from twofold.recipes.named.cifar10_resnet18 import RECIPE
from twofold.recipes.recipe import Recipe
from twofold.training.step import StepSetup, TrainState, build_state, train_step

CHUNK = 128
SIZES = (256, 1024, 4096, 8192)
DIRECT = (256, 256)


def recipe_of(batch_size: int) -> Recipe:
    return RECIPE.with_settings(batch_size=batch_size)


def pictures(n: int) -> ImageBatch:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 3, 32, 32), generator=generator, dtype=torch.uint8)
    return ImageBatch(images, torch.full((n, 2), 32))


def seconds(state: TrainState, recipe: Recipe, hardware: Hardware, batch: ImageBatch, chunk: int) -> float:
    setup = StepSetup.of(recipe, hardware, World(), World().share(len(batch.images), chunk))
    start = time.perf_counter()
    result = train_step(state, batch, setup, lr=0.1)
    assert result["loss"].isfinite()
    return time.perf_counter() - start


def child(batch_size: int, chunk: int) -> None:
    """One step after a small one: the peak of the whole process and the speed."""
    recipe, hardware = recipe_of(batch_size), resolve_hardware(Recipe().hardware)
    state = build_state(recipe, hardware, peak=0.1, world=World())
    seconds(state, recipe, hardware, pictures(64), 64)
    taken = seconds(state, recipe, hardware, pictures(batch_size), chunk)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"peak_bytes": peak, "images_per_s": batch_size / taken, "seconds": taken}))


def price(rounds: int) -> dict[str, float]:
    """Time per image of a step of 8192 in chunks over that of direct steps of 256, in turn."""
    recipe, hardware = recipe_of(256), resolve_hardware(Recipe().hardware)
    state = build_state(recipe, hardware, peak=0.1, world=World())
    small, large = pictures(256), pictures(8192)
    seconds(state, recipe, hardware, small, 256)
    ratios = []
    for _ in range(rounds):
        before = [seconds(state, recipe, hardware, small, 256) for _ in range(4)]
        whole = seconds(state, recipe, hardware, large, CHUNK)
        after = [seconds(state, recipe, hardware, small, 256) for _ in range(4)]
        ratios.append((whole / 8192) / (statistics.median(before + after) / 256))
        print(f"time per image, 8192 in chunks of {CHUNK} over 256 direct: {ratios[-1]:.2f}", flush=True)
    return {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=2, type=int, metavar=("BATCH", "CHUNK"))
    options = parser.parse_args()
    keep_freed_memory()  # as the command line does
    if options.child:
        child(*options.child)
        return
    rows = []
    for batch_size, chunk in (DIRECT, *((size, CHUNK) for size in SIZES)):
        arguments = [sys.executable, __file__, "--child", str(batch_size), str(chunk)]
        run = subprocess.run(arguments, capture_output=True, text=True, check=True)
        rows.append({"batch_size": batch_size, "chunk": chunk, **json.loads(run.stdout)})
        print(rows[-1], flush=True)
    save(Path(__file__).stem, {"machine": machine(), "rows": rows, "price": price(options.rounds)})


if __name__ == "__main__":
    main()
