"""Images/s from JPEG files to new weights beside lightly's loop, in turn.

Run it alone on a quiet machine:  python benchmarks/endtoend.py CIFAR10       (about 12 minutes; `bench` extra)
CIFAR10 is the folder with train/CLASS that tools/make_data.py writes. Larger images are made: 8 x 8 of its images make
one of 256 px.
lightly's loop comes as documented, and with bf16 and channels-last set by hand. Before each of its turns it may empty
what its workers read ahead while it waited. Twofold reads from its store, as every epoch does but the first.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from lightly_loop import WORKERS, documented
from PIL import Image
from results import load, machine, save

from twofold.data import ImageSet, Loader, load_images
from twofold.distributed import World
from twofold.hardware.allocator import keep_freed_memory
from twofold.hardware.device import resolve_hardware
from twofold.recipes.recipe import Recipe
from twofold.speed.step_profile import profile_steps
from twofold.speed.sweep import flops_per_view, matrix_flops
from twofold.training.step import StepSetup, build_state, train_step

SETTINGS: dict[str, dict[str, Any]] = {
    "ResNet-18, small stem, 32 px": {"encoder": "resnet18", "stem": "small", "size_px": 32, "batch_size": 128},
    "ResNet-18, ImageNet stem, 32 px": {"encoder": "resnet18", "stem": "imagenet", "size_px": 32, "batch_size": 256},
    "ResNet-50, 224 px": {"encoder": "resnet50", "stem": "imagenet", "size_px": 224, "batch_size": 16},
}
AHEAD = 2 * WORKERS  # batches that DataLoader's workers hold ready


def mosaics(source: Path, folder: Path, count: int) -> Path:
    """`count` JPEG files of 256 px, each of 64 images of `source`."""
    paths = sorted(path for path in source.rglob("*") if path.suffix in (".jpg", ".png"))[:: 50_000 // (64 * count)]
    (folder / "all").mkdir()
    for number in range(count):
        picture = Image.new("RGB", (256, 256))
        for place in range(64):
            with Image.open(paths[number * 64 + place]) as tile:
                picture.paste(tile.resize((32, 32)), (place % 8 * 32, place // 8 * 32))
        picture.save(folder / "all" / f"{number}.jpg", quality=90)
    return folder


def recipe_of(setting: dict[str, Any]) -> Recipe:
    policy = "simclr" if setting["size_px"] >= 96 else "small"
    strength = 1.0 if policy == "simclr" else 0.5
    return Recipe().with_settings(
        **setting, policy=policy, strength=strength, interpolation="bilinear", optimizer="sgd", temperature=0.5
    )


def ours(recipe: Recipe, images: ImageSet) -> Callable[[], object]:
    hardware, world = resolve_hardware(recipe.hardware), World()
    state, share = build_state(recipe, hardware, peak=0.06, world=world), world.share(recipe.schedule.batch_size, None)
    rows, size = images.rows("train"), recipe.schedule.batch_size
    batches = iter(Loader(images, rows, batch_size=size, seed=0, last_step=10**6))
    setup = StepSetup.of(recipe, hardware, world, share)

    def step() -> float:
        return train_step(state, next(batches), setup, lr=0.06)["loss"].item()

    return step


def rate(step: Callable[[], object], batch_size: int, seconds: float, fewest: int, unpaid: int) -> float:
    """Images a second over at least `seconds` and `fewest` steps, after `unpaid` ones."""
    for _ in range(unpaid):
        step()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds or count < fewest:
        step()
        count += 1
    return count * batch_size / (time.perf_counter() - start)


def compare(title: str, setting: dict[str, Any], folder: Path, rounds: int, seconds: float) -> dict[str, Any]:
    recipe, size = recipe_of(setting), setting["batch_size"]
    images = load_images(folder, recipe=recipe.data, store_px=recipe.stored_px, cache=None, show_progress=False)
    train = folder / "train" if (folder / "train").exists() else folder
    blur = recipe.views.policy == "simclr"
    loops = {
        "twofold": (ours(recipe, images), 1),
        "lightly": (documented(train, **setting, blur=blur).step, AHEAD + 1),
        "lightly, bf16 and channels-last": (documented(train, **setting, blur=blur, fast=True).step, AHEAD + 1),
    }
    taken = []
    for _ in range(rounds):
        one = {}
        for name, (step, unpaid) in loops.items():
            one[name] = rate(step, size, seconds, 3, unpaid)
        taken.append(one)
        print(title, {name: round(value, 1) for name, value in one.items()}, flush=True)
    rows = []
    for name in loops:
        ratios = [one["twofold"] / one[name] for one in taken]
        ratio = {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
        rows.append({"name": name, "images_per_s": statistics.median(one[name] for one in taken), "ratio": ratio})
    return {"title": title, "rows": rows, "profile": anatomy(recipe, images)}


def anatomy(recipe: Recipe, images: ImageSet) -> dict[str, Any]:
    """Where a step of ours goes, and the encoder's rate over that of a matrix product."""
    hardware, world = resolve_hardware(recipe.hardware), World()
    share = world.share(recipe.schedule.batch_size, None)
    rate_before, flops = matrix_flops(hardware), flops_per_view(recipe, hardware)
    found = profile_steps(recipe, hardware, images, world=world, share=share, steps=200, seconds=20.0)
    best = max(rate_before, matrix_flops(hardware))
    return {
        **found.to_dict(),
        "wait_share": found.wait_share,
        "matrix_gflops": best / 1e9,
        "matrix_share": 2 * found.images * flops / found.encoder_s / best,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each turn")
    parser.add_argument("--only", choices=list(SETTINGS), help="measure this alone, keep the figures of the others")
    options = parser.parse_args()
    keep_freed_memory()  # as the command line does
    tables = (
        {table["title"]: table for table in (load(Path(__file__).stem) or {"tables": []})["tables"]}
        if options.only
        else {}
    )
    with tempfile.TemporaryDirectory() as made:
        for title, setting in SETTINGS.items():
            if options.only not in (None, title):
                continue
            large = setting["size_px"] > 32
            folder = mosaics(options.data / "train", Path(made), 400) if large else options.data
            tables[title] = compare(title, setting, folder, options.rounds, options.seconds)
    found = [tables[title] for title in SETTINGS if title in tables]
    result = {"machine": machine(), "lightly": version("lightly"), "rounds": options.rounds, "tables": found}
    save(Path(__file__).stem, result)


if __name__ == "__main__":
    torch.multiprocessing.set_sharing_strategy("file_system")
    main()
