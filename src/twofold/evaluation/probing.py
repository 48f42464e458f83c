"""Attempts on fixed features: k-NN and the linear probe. Test features enter nothing but the two kinds of predict."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from jaxtyping import Float32

from twofold.evaluation.attempt import Attempt, Labels, rank_classes, softmax_confidence
from twofold.evaluation.budgets import labelled_places
from twofold.evaluation.knn import knn_votes, neighbour_count
from twofold.evaluation.labelled import Labelled
from twofold.evaluation.linear import LinearProbe, fit_scaling
from twofold.evaluation.selection import L2_GRID, Fold, fit_few, fit_probes
from twofold.evaluation.subject import Features

Draw = tuple[int, Labels]  # seed, budget


def knn_attempts(
    features: Features, labelled: Labelled, draws: Sequence[Draw], *, encoder: str, weights: int | None
) -> list[Attempt]:
    """k-NN with the labels of each draw."""
    classes, attempts = len(labelled.classes), []
    for seed, labels in draws:
        own = labelled_places(labelled.train_ids, labels, seed)
        k = min(20, labels) if isinstance(labels, int) else neighbour_count(len(own), classes)
        votes = knn_votes(features.test, features.train[own], labelled.train_ids[own], classes=classes, k=k)
        attempts.append(
            Attempt(
                protocol="knn",
                encoder=encoder,
                labels=labels,
                seed=seed,
                ranked=rank_classes(votes),
                confidence=(votes.max(1) / votes.sum(1)).astype(np.float32),
                weights=weights,
            )
        )
    return attempts


def linear_attempts(
    features: Features,
    labelled: Labelled,
    draws: Sequence[Draw],
    *,
    encoder: str,
    weights: int | None,
    folds: dict[int, list[Fold]],
    grid: Sequence[float] = L2_GRID,
) -> list[Attempt]:
    """The linear probe with the labels of each draw; with all labels, L2 is chosen on the `folds` of the seed.

    Features are shifted and scaled by the mean and deviation of all train pictures, whatever the number of labels.
    """
    scaling = fit_scaling(features.train)
    x, test, y = scaling(features.train), scaling(features.test), labelled.train_ids
    classes = len(labelled.classes)
    attempt = partial(_linear_attempt, test=test, encoder=encoder, weights=weights)
    whole = [seed for seed, labels in draws if labels == "all"]
    attempts = []
    if whole:
        probes = fit_probes(x, y, classes=classes, draws=[folds[seed] for seed in whole], grid=grid)
        attempts += [attempt(probe, l2, "all", seed) for seed, (probe, l2) in zip(whole, probes, strict=True)]
    for seed, labels in draws:
        if labels != "all":
            own = labelled_places(y, labels, seed)
            shots = int(np.bincount(y[own]).min())
            attempts.append(attempt(*fit_few(x[own], y[own], classes=classes, shots=shots), labels, seed))
    return attempts


def _linear_attempt(
    probe: LinearProbe,
    l2: float,
    labels: Labels,
    seed: int,
    *,
    test: Float32[np.ndarray, "m d"],
    encoder: str,
    weights: int | None,
) -> Attempt:
    logits = probe.logits(test)
    return Attempt(
        protocol="linear",
        encoder=encoder,
        labels=labels,
        seed=seed,
        ranked=rank_classes(logits),
        confidence=softmax_confidence(logits),
        l2=l2,
        weights=weights,
        converged=probe.converged,
    )
