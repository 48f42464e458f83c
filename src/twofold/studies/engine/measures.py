"""What is measured in a cell: functions from a task to values by metric, under the names that cells use.

Every measure says whether the cell `learnt`: its encoder recognises positive pairs more than five times as often as
chance (`learnt_accuracy`), and its probe is above that of an untrained encoder; a network that is trained with labels
is above the share of the most frequent class, by the lower end of its 95 % interval.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import numpy as np
from jaxtyping import Bool, Float32
from torch import nn

from twofold.data import ImageSet
from twofold.evaluation import build_network, embed_images, fit_network, fit_probes, fit_scaling, make_schedule
from twofold.evaluation.features import with_open_branches
from twofold.evaluation.intervals import wilson_interval
from twofold.evaluation.labels import stratified_folds
from twofold.evaluation.linear_probe import FEW_L2_GRID
from twofold.evaluation.schedules import TRAINING_SETTINGS
from twofold.hardware.device import Hardware
from twofold.recipes.loss import learnt_accuracy
from twofold.recipes.recipe import Recipe
from twofold.runs.encoder_file import Loaded, build_untrained, load, load_head
from twofold.studies.engine.cell import Cell
from twofold.studies.engine.layers import layer_features
from twofold.studies.engine.ranks import rank_measures
from twofold.studies.engine.results import Right
from twofold.studies.engine.split import Split, at_most, split_rows
from twofold.studies.engine.transformed import tell_transformation
from twofold.views import build_single_policy

LATE_SHARE = 0.1  # contrastive accuracy and entropy are means over this last share of the steps


@dataclass(frozen=True, kw_only=True)
class Task:
    """A cell with all that is needed to measure it; `run` holds its pretrained encoder, where it has one."""

    cell: Cell
    recipe: Recipe
    images: ImageSet
    hardware: Hardware
    run: Path | None
    labels: int | None  # at most so many labelled images fit a probe
    baseline: Callable[["Task"], float]  # top1 of the probe on an untrained encoder
    slower: float = 1.0  # what the rate of training with labels is divided by

    @property
    def trained(self) -> Path:
        """The run directory. It is a fault of the study where a cell has none."""
        assert self.run is not None, f"the cell '{self.cell.key}' has no pretrained encoder"
        return self.run

    def load(self) -> Loaded:
        """Its encoder, on the cell's hardware."""
        return load(self.trained, hardware=self.recipe.hardware)

    @property
    def split(self) -> Split:
        """The labelled rows of the cell."""
        return split_rows(self.images, self.recipe.data, self.cell.on)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Values by metric; for those that are shares of the images asked, which of these are `right`."""

    values: dict[str, float]
    right: Right = field(default_factory=dict)
    learnt: bool


Measure = Callable[[Task], Measured]


def linear(task: Task) -> Measured:
    """top1 of the linear probe on h; contrast_accuracy and contrast_entropy (nats) at the end of pretraining.

    And how many directions h uses (`rank_measures`).
    """
    loaded = task.load()
    h = embed_images(loaded.encoder, task.images, _needed(task), views=task.recipe.views, hardware=task.hardware)
    return _of_encoder(task, loaded, {"top1": h}, {})


def supervised(task: Task) -> Measured:
    """top1 of the encoder trained from scratch with labels, on one view of each image by the recipe's own policy.

    As many epochs as the recipe's, in batches of at most 256; learning rate and decay are the paper's for training
    from scratch, `options["base_lr"]` replaces the rate.
    """
    split, views = task.split, task.recipe.views
    network = build_network(
        build_untrained(task.recipe, task.cell.seed, task.hardware),
        dim=_dim(task),
        classes=split.classes,
        hardware=task.hardware,
        seed=task.cell.seed,
    )
    settings = TRAINING_SETTINGS["supervised"]
    rate = float(task.cell.options.get("base_lr", settings.rates[0])) / task.slower
    schedule = make_schedule(
        settings, rate, labels=len(split.rows), train=len(split.rows), epochs=task.recipe.schedule.epochs
    )
    fit_network(
        network,
        task.images,
        split.rows,
        split.ids,
        views=views,
        hardware=task.hardware,
        schedule=schedule,
        seed=task.cell.seed,
        ops=build_single_policy(views),
    )
    return _of_network(task, network, split)


def layers(task: Task) -> Measured:
    """top1 of probes on the encoder's stages, on h ("top1") and on the head's layers, each under the layer's name.

    And the shares of views of which a small network tells from h and from z how `options["tell"]`, a transformation,
    was applied ("told from h", "told from z").
    """
    loaded, head = task.load(), load_head(task.trained, hardware=task.recipe.hardware)
    features = layer_features(loaded, head, task.images, _needed(task))
    told = tell_transformation(
        str(task.cell.options["tell"]), loaded, head, task.images, task.split.rows, seed=task.cell.seed
    )
    return _of_encoder(task, loaded, {"top1": features["h"], **features}, told)


def trained_on_labels(task: Task) -> Measured:
    """top1 of a network trained on `options["fraction"]` of the labels: from the pretrained encoder or from scratch.

    `options`: way ("finetune" or "supervised"), fraction, base_lr, epochs. Crop and flip are the only augmentations.
    """
    options, seed = task.cell.options, task.cell.seed
    split = task.split
    own = split.few(float(options["fraction"]), seed) if options["fraction"] < 1 else split
    way = str(options["way"])
    start = task.load().encoder if way == "finetune" else build_untrained(task.recipe, seed, task.hardware)
    network = build_network(start, dim=_dim(task), classes=split.classes, hardware=task.hardware, seed=seed)
    schedule = make_schedule(
        TRAINING_SETTINGS[way],
        float(options["base_lr"]) / task.slower,
        labels=len(own.rows),
        train=len(split.rows),
        epochs=options.get("epochs"),
    )
    fit_network(
        network,
        task.images,
        own.rows,
        own.ids,
        views=task.recipe.views,
        hardware=task.hardware,
        schedule=schedule,
        seed=seed,
    )
    return _of_network(task, network, split)


def probe(task: Task, features: Float32[np.ndarray, "n d"]) -> Bool[np.ndarray, " m"]:
    """Which rows a linear probe has right, on features of the rows `_needed`: L2 chosen on a fifth of what fits it."""
    split = at_most(task.split, task.labels)
    train, asked = features[: len(split.rows)], features[len(split.rows) :]
    scaling = fit_scaling(train)
    draws = [stratified_folds(split.ids)[:1]]
    fitted, _ = fit_probes(scaling(train), split.ids, classes=split.classes, draws=draws, grid=FEW_L2_GRID)[0]
    right: Bool[np.ndarray, " m"] = split.truth == fitted.predict(scaling(asked))
    return right


def measure_untrained(task: Task) -> float:
    """top1 of the probe on the cell's encoder as it starts, its residual branches open: what learning must exceed."""
    encoder = with_open_branches(build_untrained(task.recipe, 0, task.hardware))
    h = embed_images(
        encoder, task.images, _needed(task), views=task.recipe.views, hardware=task.hardware, name="untrained"
    )
    return float(probe(task, h).mean())


def _of_encoder(task: Task, loaded: Loaded, features: dict[str, Float32[np.ndarray, "n d"]], told: Right) -> Measured:
    """Probes on `features` by name, and what was `told` already."""
    fitted = len(at_most(task.split, task.labels).rows)
    right = {name: probe(task, one) for name, one in features.items()} | dict(told)
    values = {name: float(one.mean()) for name, one in right.items()}
    contrast = _contrast(task.trained)
    ranks = rank_measures(loaded, features["top1"][:fitted], task.images, seed=task.cell.seed)
    learnt = _pairs_learnt(task) and values["top1"] > task.baseline(task)
    return Measured(values=values | contrast | ranks, right=right, learnt=learnt)


def _of_network(task: Task, network: nn.Module, split: Split) -> Measured:
    logits = embed_images(network, task.images, split.asked, views=task.recipe.views, hardware=task.hardware)
    right = split.truth == logits.argmax(1)
    top1 = float(right.mean())
    above = wilson_interval(top1, len(right))[0] > np.bincount(split.truth).max() / len(right)
    learnt = bool(above) and (task.run is None or _pairs_learnt(task))
    return Measured(values={"top1": top1}, right={"top1": right}, learnt=learnt)


def _pairs_learnt(task: Task) -> bool:
    accuracy = _contrast(task.trained)["contrast_accuracy"]
    return accuracy >= learnt_accuracy(task.recipe.schedule.batch_size)


def _needed(task: Task) -> np.ndarray:
    split = at_most(task.split, task.labels)
    return np.concatenate([split.rows, split.asked])


def _dim(task: Task) -> int:
    return int(build_untrained(task.recipe, 0, task.hardware).dim)  # type: ignore[arg-type]


def _contrast(run: Path) -> dict[str, float]:
    """Means over the last steps of the run."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    training = [row for row in rows if "contrast_accuracy" in row]
    late = training[-max(1, round(LATE_SHARE * len(training))) :]
    return {name: fmean(row[name] for row in late) for name in ("contrast_accuracy", "contrast_entropy")}


def needs_pretraining(cell: Cell) -> bool:
    """Whether the cell is about a pretrained encoder."""
    return cell.measure in ("linear", "layers") or cell.options.get("way") == "finetune"


MEASURES: dict[str, Measure] = {
    "linear": linear,
    "supervised": supervised,
    "layers": layers,
    "trained on labels": trained_on_labels,
}
