"""What few labels are worth: linear probe, fine-tuning, self-training and training from scratch, in paired draws.

Run it alone:  python benchmarks/few_labels.py CIFAR10 --out runs/few-labels
CIFAR10 is the folder with train/CLASS/*.jpg and test/CLASS/*.jpg, or any other folder with classes. One encoder is
pretrained for 15 minutes; every draw of the labels serves all ways of measuring, and test is read once, at the end. The
time that is left for a way at a budget is said after each training; started again with the same --out it continues.

Networks are kept by way and budget, so that several processes can share the work on one --run: give each
--predict-only with some --ways and --budgets, then call it once with all, and with the same --draws, --whole and
--steps. What the probe is fitted on is kept for all its budgets together.

--selection measures on images cut from train instead of test: for whatever is still to be changed by the result.
--foreign 5 hides the labels of the last five classes: their images stay among the unlabelled ones, and none is tested.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from results import machine, save

import twofold
from twofold.data import ImageSet, load_images
from twofold.evaluation import Evaluation, difference_sentence
from twofold.evaluation.evaluate import predict, summarize
from twofold.evaluation.labels import Labels, cut_selection
from twofold.evaluation.prediction_file import as_labels
from twofold.evaluation.predictions import Predictions
from twofold.evaluation.protocols import IMPLIED, encoder_name, protocol_name, way_name, with_labels
from twofold.evaluation.scope import Settings, find_scope, open_store
from twofold.evaluation.scores import PAIRS, Difference, Way
from twofold.evaluation.self_trainer import STEPS
from twofold.evaluation.self_training import LABELLED, UNLABELLED
from twofold.hardware.allocator import keep_freed_memory
from twofold.programs.measurement import run_subject
from twofold.recipes.recipe import Recipe
from twofold.runs.encoder_file import Loaded
from twofold.runs.run_directory import Run

RECIPE = "cifar10-laptop"
WAYS = ("linear", "finetune", "self-train", "supervised")
BUDGETS = ("1", "10", "0.01", "0.1")  # labels a class, and shares of all; "all" may be asked for too


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


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured: `ways` at `budgets`, on `draws` of the labels; with all labels networks take `whole` seeds.

    `steps` of self-training by budget; `baselines`: the probe on untrained encoders and on pixels too.
    """

    ways: tuple[str, ...]
    budgets: tuple[Labels, ...]
    draws: int
    whole: int
    steps: dict[Labels, int]
    baselines: bool

    @property
    def settings(self) -> Settings:
        """Of everything at once."""
        return self._settings(self.ways, self.budgets, max(self.draws, self.whole))

    @property
    def parts(self) -> list[Settings]:
        """The probes, then each way of training networks at each budget."""
        linear = [self._settings(("linear",), self.budgets, self.draws)] if "linear" in self.ways else []
        networks = [way for way in self.ways if way != "linear"]
        return linear + [
            self._settings((way,), (budget,), self.whole if budget == "all" else self.draws)
            for way in networks
            for budget in self.budgets
        ]

    def _settings(self, ways: tuple[str, ...], budgets: tuple[Labels, ...], seeds: int) -> Settings:
        shares = sorted(budget for budget in budgets if isinstance(budget, float))
        whole = "all" in budgets and ways != ("linear",)  # the probe is fitted on all labels anyway
        return Settings(
            protocols=ways,
            seeds=tuple(range(seeds)),
            few_seeds=tuple(range(seeds)),
            shots=tuple(sorted(budget for budget in budgets if isinstance(budget, int))),
            fractions=(*shares, *([1.0] if whole else [])),
            baselines="supervised" in ways or (self.baselines and "linear" in ways),
            self_train_steps=self.steps[budgets[0]] if ways == ("self-train",) else STEPS,
        )


def predictions_of(loaded: Loaded, images: ImageSet, out: Path, plan: Plan) -> list[Predictions]:
    """By all ways at all budgets, each draw of the labels shared by the ways; what is done is kept in `out`."""
    subject, predictions = run_subject(loaded), list[Predictions]()
    for settings in plan.parts:
        scope = find_scope(images, settings, loaded.recipe.data)
        if settings.shots and not scope.few and not settings.probes:
            continue  # more labels of a class than most have
        predictions += predict(subject, scope, open_store(subject, scope, out / "predictions"), say=_say)
    return predictions


def report(evaluation: Evaluation, **settings: Any) -> dict[str, Any]:
    """Accuracy of each way and budget, their paired differences, and what was chosen; printed too.

    Where classes differ in size it is the mean over the classes.
    """
    metric = evaluation.differences[0].metric if evaluation.differences else "top1"
    rows = [row.to_dict() for row in evaluation.rows if row.metric == metric]
    for row in rows:
        low, high = (f"{100 * bound:.1f}" if bound is not None else "-" for bound in (row["low"], row["high"]))
        way = way_name(row["protocol"], row["encoder"])
        print(f"{row['labels']!s:>5}  {way:<34}  {100 * row['mean']:.1f} ({low} to {high})")
    usual = [one for one in evaluation.differences if (_first(one), _second(one)) in PAIRS]
    sentences = [difference_sentence(difference) for difference in usual]
    budgets = dict.fromkeys(row["labels"] for row in rows)
    best = [best_sentence(rows, evaluation.differences, labels) for labels in budgets]
    best = [sentence for sentence in best if sentence]
    print(*best, *sentences, sep="\n")
    details = evaluation.details
    chosen = {name: details[name] for name in ("chosen_base_lr", "chosen_training") if name in details}
    differences = [difference.to_dict() for difference in evaluation.differences]
    seconds = {
        f"{one.protocol}/{one.encoder}/{one.labels}/{one.seed}": round(one.seconds, 1)
        for one in evaluation.predictions
        if one.seconds > 0
    }
    told: dict[str, Any] = {
        "metric": metric,
        "labels_per_class": details["labels_per_class"],
        "caveats": details["caveats"],
        "best": best,
        "sentences": sentences,
        "edges": details["edges"],
        "seconds": seconds,
    }
    return {"machine": machine(), **settings, "rows": rows, "differences": differences, **chosen, **told}


def best_sentence(rows: Sequence[dict[str, Any]], differences: Sequence[Difference], labels: Labels) -> str:
    """ "With 10 labels per class self-training has the highest mean, clearly above the linear probe."

    Whether it is clear is told by the interval of the paired difference. Nothing where there is one way alone.
    """
    here = {(row["protocol"], row["encoder"]): row["mean"] for row in rows if row["labels"] == labels}
    if len(here) < 2:
        return ""
    equal = [way for way in here if here[way] == max(here.values())]
    lows = {_second(one): one.low for one in differences if one.labels == labels and _first(one) == equal[0]}
    highs = {_first(one): one.high for one in differences if one.labels == labels and _second(one) == equal[0]}
    lows |= {way: None if high is None else -high for way, high in highs.items()}
    others: dict[str, list[str]] = {"clearly above": [], "not clearly above": [], "without an interval beside": []}
    for way in (way for way in here if way not in equal):
        low = lows.get(way)
        how = "without an interval beside" if low is None else "clearly above" if low > 0 else "not clearly above"
        others[how].append(_name(way))
    ends = [f"{how} {_listed(names)}" for how, names in others.items() if names]
    verb = "has" if len(equal) == 1 else "share"
    start = f"{capitalized(with_labels(labels))} {_listed([_name(way) for way in equal])} {verb} the highest mean"
    return ", ".join([start, *ends]) + "."


def self_training_sentence(predictions: Sequence[Predictions], steps: dict[Labels, int]) -> str:
    """How long it took at each budget, and where it was chosen not to. Nothing without any."""
    own = {one.labels: one.training for one in predictions if one.protocol == "self-train"}
    if not own:
        return ""
    told = [f"{steps[labels]:,} {with_labels(labels)}" for labels, training in own.items() if training]
    none = [f"{with_labels(labels)} ({steps[labels]:,})" for labels, training in own.items() if not training]
    size = f"{LABELLED} labelled and {UNLABELLED} other images"
    sentences = [f"Steps of self-training, of {size}: {', '.join(told)}."] if told else []
    why = "as trials on a part of the labels showed no gain or could not be judged"
    sentences += (
        [f"{capitalized(_listed(none))} steps were allowed and none taken, {why}: it is the probe."] if none else []
    )
    return " ".join(sentences)


def capitalized(text: str) -> str:
    """With a large letter; the others stay as they are."""
    return text[:1].upper() + text[1:]


def all_pairs(plan: Plan) -> list[tuple[Way, Way]]:
    """Those that an evaluation compares, then all others of what is measured."""
    ways = [(way, IMPLIED.get(way, "trained")) for way in plan.ways]
    ways += [("linear", "untrained"), ("linear", "pixels")] if plan.baselines else []
    others = [pair for pair in combinations(ways, 2) if pair not in PAIRS and pair[::-1] not in PAIRS]
    return [*PAIRS, *others]


def _name(way: Way) -> str:
    """ "the linear probe"; "the linear probe on raw pixels" where it is not the trained encoder's."""
    protocol, encoder = way
    own = encoder in ("trained", IMPLIED.get(protocol))
    return protocol_name(protocol) + ("" if own else f" on {encoder_name(encoder)}")


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _first(one: Difference) -> Way:
    return one.protocol, one.encoder


def _second(one: Difference) -> Way:
    return one.against_protocol, one.against_encoder


def as_budget(text: str) -> Labels:
    """ "10", "0.01" or "all", which 1.0 is too."""
    labels = as_labels(text)
    return "all" if isinstance(labels, float) and labels == 1.0 else labels


def steps_of(asked: list[str], budgets: Sequence[Labels]) -> dict[Labels, int]:
    """Steps of self-training by budget, of "3000" for all of them or "10=750" for each."""
    if len(asked) == 1 and asked[0].isdigit():
        return dict.fromkeys(budgets, int(asked[0]))
    steps = {as_budget(budget): int(count) for budget, count in (one.split("=") for one in asked)}
    return {budget: steps.get(budget, STEPS) for budget in budgets}


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
    parser.add_argument("--whole", type=int, default=1, help="networks of each way with all labels")
    parser.add_argument("--ways", nargs="+", default=list(WAYS[:3]), choices=WAYS)
    parser.add_argument("--baselines", action="store_true", help="probe untrained encoders and raw pixels too")
    parser.add_argument("--steps", nargs="+", default=[str(STEPS)], help="of self-training, or BUDGET=STEPS for each")
    parser.add_argument("--predict-only", action="store_true", help="keep the predictions in --out; write no figures")
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
    budgets = tuple(as_budget(budget) for budget in options.budgets)
    plan = Plan(
        ways=tuple(options.ways),
        budgets=budgets,
        draws=options.draws,
        whole=options.whole,
        steps=steps_of(options.steps, budgets),
        baselines=options.baselines,
    )
    with loaded.hardware.arithmetic():
        predictions = predictions_of(loaded, images, options.out, plan)
    if options.predict_only:
        return
    scope = find_scope(images, plan.settings, recipe.data)
    evaluation = summarize(scope, predictions, recipe.data, all_pairs(plan))
    settings = {name: getattr(options, name) for name in ("draws", "whole", "selection", "foreign")}
    settings |= {"data": options.data.name, "budgets": [str(budget) for budget in budgets]}
    settings |= {"steps": {str(budget): steps for budget, steps in plan.steps.items()}}
    settings |= {"images_a_step": [LABELLED, UNLABELLED]}
    settings["self_training"] = self_training_sentence(predictions, plan.steps)
    taken = Run(options.run or options.out / "run").read_recipe()["plan"]["steps"]
    pretrained_for = f"{taken:,} steps of {recipe.schedule.batch_size} images"
    save(
        options.name or default_name(options), report(evaluation, recipe=RECIPE, pretrained=pretrained_for, **settings)
    )


if __name__ == "__main__":
    main()
