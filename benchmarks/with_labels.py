"""An encoder trained with all labels of a data set, for as long as a run without them took: to be measured beside it.

    python benchmarks/with_labels.py CIFAR10 --like runs/cifar10 --out runs/with-labels.safetensors

The same encoder, views by crop and flip, SGD with Nesterov momentum, learning rate 0.1, weight decay 1e-4 and cosine
(reference 5.5), batch 256. The file is what `twofold transfer --beside` takes.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from twofold.data import load_images
from twofold.evaluation import build_network, embed_images, fit_network, make_schedule, measured_rows, top1
from twofold.evaluation.schedules import TRAINING_SETTINGS
from twofold.hardware.allocator import keep_freed_memory
from twofold.hardware.device import resolve_hardware
from twofold.recipes.recipe import HardwareRecipe, Recipe
from twofold.runs.encoder_file import build_untrained, save_encoder
from twofold.runs.run_directory import Run

WARM_STEPS, TIMED_STEPS = 10, 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--like", type=Path, required=True, help="run directory whose encoder, views and time to take")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, help="instead of the time that the run took")
    options = parser.parse_args()
    keep_freed_memory()  # as the command line does
    run = Run(options.like)
    recipe = Recipe.from_dict(run.read_recipe()["recipe"])
    seconds = options.seconds or _seconds_of(run)
    hardware = resolve_hardware(HardwareRecipe())
    images = load_images(options.data, recipe=recipe.data, store_px=recipe.stored_px, cache=None, show_progress=True)
    labelled = measured_rows(images)

    def train(steps: int, moments: list[float]) -> object:
        encoder = build_untrained(recipe, options.seed, hardware)
        network = build_network(
            encoder, dim=encoder.dim, classes=len(labelled.classes), hardware=hardware, seed=options.seed
        )
        epochs = steps * 256 / len(labelled.train)
        settings = TRAINING_SETTINGS["supervised"]
        schedule = make_schedule(
            settings, settings.rates[0], labels=len(labelled.train), train=len(labelled.train), epochs=epochs
        )

        def each_step(step: int) -> None:
            moments.append(time.monotonic())
            if step % 500 == 0:
                print(f"step {step:,} of {schedule.steps:,}, {moments[-1] - moments[0]:.0f} s", flush=True)

        fit_network(
            network,
            images,
            labelled.train,
            labelled.train_ids,
            views=recipe.views,
            hardware=hardware,
            schedule=schedule,
            seed=options.seed,
            each_step=each_step,
        )
        return network

    tried: list[float] = []
    train(WARM_STEPS + TIMED_STEPS, tried)
    step_s = float(np.median(np.diff(tried[WARM_STEPS:])))
    steps = int(seconds / step_s)
    print(f"{seconds:.0f} s / {step_s:.3f} s a step = {steps:,} steps = {steps * 256 / len(labelled.train):.1f} epochs")
    moments: list[float] = []
    network = train(steps, moments)
    taken = moments[-1] - moments[0]
    save_encoder(options.out, network.encoder, recipe)
    logits = embed_images(network, images, labelled.test, views=recipe.views, hardware=hardware)
    truth = np.array([labelled.classes.index(images.labels[row]) for row in labelled.test])
    accuracy = top1(truth, logits.argmax(1))
    record = {"steps": steps, "seconds": taken, "asked_s": seconds, "test_top1": accuracy, "seed": options.seed}
    options.out.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")
    print(f"{options.out}: {taken:.0f} s, top-1 on test {accuracy:.2%}")


def _seconds_of(run: Run) -> float:
    rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    return float(max(row["elapsed_s"] for row in rows if "elapsed_s" in row))


if __name__ == "__main__":
    main()
