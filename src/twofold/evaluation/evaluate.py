"""A trained encoder in, figures out: k-NN and linear probe, beside the untrained encoder and raw pixels.

First everything is fitted and predicted, with the labels of train alone; then one function counts what is right.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64
from torch import nn

from twofold.data import ImageSet, shots_per_class
from twofold.errors import TwofoldError
from twofold.evaluation.embed import Hardware, embed_images, pixels
from twofold.evaluation.knn import neighbour_count, predict_knn
from twofold.evaluation.labelled import Labelled, find_labelled, selection_folds
from twofold.evaluation.linear import fit_scaling
from twofold.evaluation.scoring import Attempt, score
from twofold.evaluation.selection import Fold, fit_few, fit_probes
from twofold.evaluation.stated import protocol_sentences, result_sentences
from twofold.evaluation.table import Row
from twofold.recipe import DataRecipe, ViewsRecipe


@dataclass(frozen=True)
class Evaluation:
    """`rows` are the figures, `details` how they came about (plain values for JSON)."""

    rows: list[Row]
    details: dict[str, Any]


@dataclass(frozen=True)
class Features:
    """What one encoder makes of the pictures, and the seeds that are its to measure."""

    encoder: str
    train: Float32[np.ndarray, "n d"]
    test: Float32[np.ndarray, "m d"]
    seeds: range  # of the selection splits
    few_seeds: range  # of the labelled subsets

    @property
    def weights(self) -> int | None:
        """Which of the untrained weights; None where there is one set."""
        return self.seeds[0] if self.encoder == "untrained" else None

    @property
    def title(self) -> str:
        """For a line of progress."""
        which = "" if self.weights is None else f", weights of seed {self.weights}"
        return f"{self.encoder}{which} ({self.train.shape[1]:,} numbers a picture)"


def evaluate_encoder(
    encoder: nn.Module,
    *,
    untrained: Callable[[int], nn.Module],
    images: ImageSet,
    views: ViewsRecipe,
    data: DataRecipe,
    hardware: Hardware,
    seeds: int = 5,
    few_seeds: int = 20,
    shots: Sequence[int] = (1, 5, 10, 50),
    say: Callable[[str], None] = lambda line: None,  # noqa: ARG005
) -> Evaluation:
    """k-NN and linear probe on frozen h, with all labels and with `shots` labels per class.

    `untrained(seed)` gives the same encoder with fresh weights. With all labels, `seeds` vary the selection split and
    the untrained weights; with few, `few_seeds` vary the labelled subset, on the untrained weights of seed % seeds,
    and figures on the same weights are averaged before the interval is taken.
    Raises TwofoldError for data that cannot be measured on and for embeddings that are not finite.
    """
    began = time.perf_counter()
    _require_counts(seeds, few_seeds, shots)
    labelled = find_labelled(images)
    possible, left_out = _possible_shots(labelled, shots)
    folds = [selection_folds(images, labelled, data, seed) for seed in range(seeds)]
    for line in (*labelled.stated, *left_out):
        say(line)
    say(f"Embedding {len(labelled.train):,} train and {len(labelled.test):,} test pictures of '{images.name}'")
    attempts: list[Attempt] = []
    counts = (seeds, few_seeds if possible else 0)
    for features in _all_features(encoder, untrained, images, labelled, views, hardware, counts):
        fitting = time.perf_counter()
        attempts += _attempts(features, labelled, folds, possible)
        say(f"{features.title}: measured in {time.perf_counter() - fitting:.0f} s")
    rows, confusion = score(attempts, images, labelled)  # the labels of test are counted here, after all fitting
    protocol = protocol_sentences(data, len(labelled.train), seeds, few_seeds, possible)
    converged = [attempt.converged for attempt in attempts if attempt.protocol == "linear"]
    results = result_sentences(rows, len(labelled.test), converged)
    details = {
        "data": images.name,
        "train": len(labelled.train),
        "selection": len(folds[0][0][1]),
        "test": len(labelled.test),
        "classes": labelled.classes,
        "confusion": confusion,
        **_chosen(attempts),
        "stated": [*images.stated, *labelled.stated, *left_out, *protocol, *results],
        "seconds": round(time.perf_counter() - began, 3),
    }
    return Evaluation(rows, details)


def _require_counts(seeds: int, few_seeds: int, shots: Sequence[int]) -> None:
    for name, value in (("seeds", seeds), ("few_seeds", few_seeds), *(("shots", count) for count in shots)):
        if value < 1:
            raise TwofoldError(f"{name} is {value}, but it must be at least 1. Change --{name.replace('_', '-')}.")


def _possible_shots(labelled: Labelled, shots: Sequence[int]) -> tuple[list[int], list[str]]:
    counts = np.bincount(labelled.train_ids, minlength=len(labelled.classes))
    smallest = int(counts.argmin())
    sentences = [
        f"{count} labels per class left out: the class '{labelled.classes[smallest]}' has {counts[smallest]} in train"
        for count in sorted(set(shots))
        if count > counts[smallest]
    ]
    return [count for count in sorted(set(shots)) if count <= counts[smallest]], sentences


def _all_features(
    encoder: nn.Module,
    untrained: Callable[[int], nn.Module],
    images: ImageSet,
    labelled: Labelled,
    views: ViewsRecipe,
    hardware: Hardware,
    counts: tuple[int, int],
) -> Iterator[Features]:
    """Each encoder's features when they are asked for: memory never holds those of all encoders."""
    seeds, few_seeds = counts

    def embedded(module: nn.Module, rows: Int64[np.ndarray, " n"], name: str) -> Float32[np.ndarray, "n d"]:
        return _finite(embed_images(module, images, rows, views=views, hardware=hardware), name)

    train, test = (embedded(encoder, rows, "trained") for rows in (labelled.train, labelled.test))
    yield Features("trained", train, test, range(seeds), range(few_seeds))
    for seed in range(seeds):
        fresh = untrained(seed).to(hardware.device)
        train, test = (embedded(fresh, rows, "untrained") for rows in (labelled.train, labelled.test))
        yield Features("untrained", train, test, range(seed, seed + 1), range(seed, few_seeds, seeds))
    train, test = (pixels(images, rows, views=views) for rows in (labelled.train, labelled.test))
    yield Features("pixels", train, test, range(seeds), range(few_seeds))


def _finite(embeddings: Float32[np.ndarray, "n d"], name: str) -> Float32[np.ndarray, "n d"]:
    bad = int((~np.isfinite(embeddings).all(1)).sum())
    if bad:
        raise TwofoldError(
            f"the {name} encoder gives numbers that are not finite for {bad:,} of {len(embeddings):,} pictures, but "
            "measuring needs finite ones. Train again with a lower --base-lr, or load with --precision fp32."
        )
    return embeddings


def _attempts(features: Features, labelled: Labelled, folds: list[list[Fold]], shots: list[int]) -> Iterator[Attempt]:
    """Fit on train, predict test: `features.test` enters nothing but the two kinds of predict."""
    x, y = features.train, labelled.train_ids
    classes = len(labelled.classes)
    attempt = partial(Attempt, encoder=features.encoder, weights=features.weights)
    few = [(seed, count, shots_per_class(y, count, seed)) for seed in features.few_seeds for count in shots]
    k = neighbour_count(len(y), classes)
    predicted = predict_knn(features.test, x, y, classes=classes, k=k)
    yield attempt(protocol="knn", labels="all", seed=features.seeds[0], predicted=predicted)
    for seed, count, own in few:
        predicted = predict_knn(features.test, x[own], y[own], classes=classes, k=min(20, count))
        yield attempt(protocol="knn", labels=count, seed=seed, predicted=predicted)
    scaling = fit_scaling(x)
    x, test = scaling(x), scaling(features.test)
    linear = partial(attempt, protocol="linear")
    probes = fit_probes(x, y, classes=classes, draws=[folds[seed] for seed in features.seeds])
    for seed, (probe, l2) in zip(features.seeds, probes, strict=True):
        yield linear(labels="all", seed=seed, predicted=probe.predict(test), l2=l2, converged=probe.converged)
    for seed, count, own in few:
        probe, l2 = fit_few(x[own], y[own], classes=classes, shots=count)
        yield linear(labels=count, seed=seed, predicted=probe.predict(test), l2=l2, converged=probe.converged)


def _chosen(attempts: list[Attempt]) -> dict[str, Any]:
    """The strengths that were chosen: per encoder with all labels, and per encoder and labels per class with few."""
    with_all: dict[str, list[float]] = {}
    with_few: dict[str, dict[str, list[float]]] = {}
    for attempt in attempts:
        if attempt.l2 is None:
            continue
        if attempt.labels == "all":
            with_all.setdefault(attempt.encoder, []).append(attempt.l2)
        else:
            with_few.setdefault(attempt.encoder, {}).setdefault(str(attempt.labels), []).append(attempt.l2)
    return {"chosen_l2": with_all, "chosen_l2_few": with_few}
