"""What few labels are worth: linear probe, fine-tuning and self-training on one encoder, in paired draws.

Run it alone:  python benchmarks/few_labels.py CIFAR10 --out runs/few-labels
CIFAR10 is the folder with train/CLASS/*.jpg and test/CLASS/*.jpg, or any other folder with classes. One encoder is
pretrained for 15 minutes; every draw of the labels serves all ways of measuring, and test is read once, at the end. The
time that is left is said after each training; started again with the same --out it continues. --selection measures on
images cut from train instead of test: for whatever is still to be changed by the result. --foreign 5 hides the labels
of the last five classes: their images stay among the unlabelled ones and are not asked for.
"""

import argparse
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from results import machine, save

import twofold
from twofold.data import ImageSet, load_images
from twofold.evaluation import Evaluation, Subject, difference_sentence
from twofold.evaluation.evaluate import predict, summarize
from twofold.evaluation.labels import cut_selection
from twofold.evaluation.scope import Settings, find_scope, open_store
from twofold.hardware.allocator import keep_freed_memory
from twofold.recipes.recipe import Recipe
from twofold.runs.encoder_file import Loaded
from twofold.runs.run_directory import Run

RECIPE = "cifar10-laptop"
WAYS = ("linear", "finetune", "self-train")
BUDGETS = ("1", "10", "0.01", "0.1")  # labels a class, and shares of all


def pretrained(data: Path, out: Path, minutes: float, processes: int) -> Loaded:
    """The encoder of the run in `out`, which is begun, continued, or there already."""
    if not (out / "encoder.safetensors").exists():
        command = [sys.executable, "-m", "twofold", "pretrain", str(data), "--recipe", RECIPE, "--out", str(out)]
        subprocess.run([*command, "--minutes", str(minutes), "--processes", str(processes)], check=True)
    return twofold.load(out)


def on_selection(images: ImageSet, recipe: Recipe) -> ImageSet:
    """The same images, a tenth of each class of train in the place of test, which is not used."""
    train = images.labelled_rows("train")
    _, cut = cut_selection(images, train, recipe.data.selection_fraction, recipe.data.data_seed)
    splits = np.array(images.splits, dtype=object)
    splits[splits == "test"] = "validation"
    splits[train[cut]] = "test"
    return replace(images, splits=splits.tolist(), fingerprint=f"{images.fingerprint}-selection")


def with_foreign(images: ImageSet, count: int) -> ImageSet:
    """The same images, those of the last `count` classes without their labels."""
    foreign = set(sorted({label for label in images.labels if label is not None})[-count:])
    labels = [None if label in foreign else label for label in images.labels]
    return replace(images, labels=labels, fingerprint=f"{images.fingerprint}-foreign-{count}")


def measured(
    loaded: Loaded, images: ImageSet, out: Path, *, ways: tuple[str, ...], budgets: list[str], draws: int, steps: int
) -> Evaluation:
    """All ways at all budgets, each draw of the labels shared by the ways; what is done is kept in `out`."""
    settings = Settings(
        protocols=ways,
        seeds=tuple(range(draws)),
        few_seeds=tuple(range(draws)),
        shots=tuple(int(budget) for budget in budgets if "." not in budget),
        fractions=tuple(float(budget) for budget in budgets if "." in budget),
        baselines=False,
        self_train_steps=steps,
    )
    subject = Subject(encoder=loaded.encoder, untrained=None, views=loaded.recipe.views, hardware=loaded.hardware)
    data = loaded.recipe.data
    scope = find_scope(images, settings, data)
    store = open_store(subject, scope, out / "predictions")
    return summarize(scope, predict(subject, scope, store, say=_say), data)


def report(evaluation: Evaluation, **settings: Any) -> dict[str, Any]:
    """Accuracy of each way and budget, their paired differences, and what was chosen; printed too.

    Where classes differ in size it is the mean over the classes.
    """
    metric = evaluation.differences[0].metric if evaluation.differences else "top1"
    rows = [row.to_dict() for row in evaluation.rows if row.metric == metric]
    for row in rows:
        low, high = (f"{100 * bound:.1f}" if bound is not None else "-" for bound in (row["low"], row["high"]))
        print(f"{row['labels']!s:>5}  {row['protocol']:<10}  {100 * row['mean']:.1f} ({low} to {high})")
    sentences = [difference_sentence(difference) for difference in evaluation.differences]
    print(*sentences, sep="\n")
    details = evaluation.details
    chosen = {name: details[name] for name in ("chosen_base_lr", "chosen_training") if name in details}
    differences = [difference.to_dict() for difference in evaluation.differences]
    seconds = {
        f"{one.protocol}/{one.labels}/{one.seed}": round(one.seconds, 1)
        for one in evaluation.predictions
        if one.seconds > 0
    }
    told = {"metric": metric, "sentences": sentences, "seconds": seconds}
    return {"machine": machine(), **settings, "rows": rows, "differences": differences, **chosen, **told}


def default_name(options: argparse.Namespace) -> str:
    """few_labels for CIFAR-10 on test, else with what is different."""
    parts = [] if options.data.name == "cifar10" else [options.data.name]
    parts += [f"foreign-{options.foreign}"] if options.foreign else []
    return "-".join(["few_labels", *parts, *(["selection"] if options.selection else [])])


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--run", type=Path, help="a finished run whose encoder to take (default: one in --out)")
    parser.add_argument("--minutes", type=float, default=15.0, help="of pretraining")
    parser.add_argument("--processes", type=int, default=2, help="that pretrain")
    parser.add_argument("--draws", type=int, default=5, help="of the labels, at each budget")
    parser.add_argument("--budgets", nargs="+", default=list(BUDGETS), help="labels a class, or shares as 0.01")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--steps", type=int, default=3000, help="of self-training")
    parser.add_argument("--selection", action="store_true", help="measure on images cut from train, not on test")
    parser.add_argument("--foreign", type=int, default=0, help="classes whose labels are hidden, the last by name")
    parser.add_argument("--name", help="of the JSON in benchmarks/results (default: few_labels-DATA)")
    options = parser.parse_args()
    keep_freed_memory()  # as the command line does
    loaded = pretrained(options.data, options.run or options.out / "run", options.minutes, options.processes)
    recipe = loaded.recipe
    images = load_images(options.data, recipe=recipe.data, store_px=recipe.stored_px, cache=None, show_progress=False)
    if options.selection:
        images = on_selection(images, recipe)
    if options.foreign:
        images = with_foreign(images, options.foreign)
    with loaded.hardware.arithmetic():
        evaluation = measured(
            loaded,
            images,
            options.out,
            ways=tuple(options.ways),
            budgets=options.budgets,
            draws=options.draws,
            steps=options.steps,
        )
    settings = {name: getattr(options, name) for name in ("draws", "budgets", "steps", "selection", "foreign")}
    settings["data"] = options.data.name
    taken = Run(options.run or options.out / "run").read_recipe()["plan"]["steps"]
    pretrained_for = f"{taken:,} steps of {recipe.schedule.batch_size} images"
    save(
        options.name or default_name(options), report(evaluation, recipe=RECIPE, pretrained=pretrained_for, **settings)
    )


if __name__ == "__main__":
    main()
