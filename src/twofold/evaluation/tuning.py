"""How a network is to be trained, chosen on labels that it may see: by cross-entropy on those that are held out.

A trial trains on the kept images of a fold and says how well it does on the cut ones. Rates are searched downhill from
a first guess and on past the last value tried. Short trials come first, and few settings get a long one.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from twofold.data import label_fraction
from twofold.errors import DivergedError
from twofold.evaluation.labels import FOLDS, LEAST_SELECTION, Fold, stratified_folds
from twofold.evaluation.logistic_regression import LinearProbe, cross_entropy
from twofold.evaluation.schedules import STATISTICS, Training, TrainingSettings

MOST_TO_CHOOSE_ON = 5000  # labelled images
STOPS = (0.125, 0.25, 0.5, 1.0)  # shares of the steps after which fine-tuning may stop
LENGTHS = (30.0, 100.0, 300.0)  # epochs from scratch
FIRST = {"finetune": Training(base_lr=0.02), "supervised": Training(base_lr=0.1, weight_decay=1e-4)}
NO_STEP = Training(base_lr=0.0, taken=0.0)
QUICK = 0.25  # of the steps, in the trials that come first
LAYER_DECAY = 0.65
RATE_FACTOR, DECAY_FACTOR = 3.0, 5.0
MOST_VALUES = 4  # of a rate, or of a weight decay


@dataclass(frozen=True)
class HeldOut:
    """Places of train to train on and places to measure on; the probe of the first, and its loss on the second."""

    kept: Int64[np.ndarray, " k"]
    cut: Int64[np.ndarray, " m"]
    probe: LinearProbe | None = None
    probe_loss: float = math.inf


@runtime_checkable
class Trial(Protocol):
    """Trains on the kept places and measures on the cut ones."""

    def __call__(
        self, training: Training, held: HeldOut, *, share: float = 1.0, stops: Sequence[float] = (1.0,)
    ) -> list[float]:
        """The loss after each of `stops`, shares of the steps, of a schedule of `share` of the usual steps.

        Infinite from where the training diverged.
        """


def tune_pretrained(trial: Trial, held_out: Sequence[HeldOut], first: Training) -> Training:
    """How to fine-tune a network that starts as a linear probe; NO_STEP where that is no better than the probe.

    On the first part held out: rates with each kind of batch statistics, then lower rates for lower layers, by short
    trials; the best of each kind in full length (short trials favour the gentler one), which also says where to stop.
    On the other parts, which nothing was chosen on, the winner must then have a lower loss than the probe. With fewer
    than two parts nothing can be told: NO_STEP.
    """
    if len(held_out) < 2:
        return NO_STEP
    held, *others = held_out
    quick: dict[Training, float] = {}

    def short(training: Training) -> float:
        (quick[training],) = trial(training, held, share=QUICK)
        return quick[training]

    for statistics in STATISTICS:
        start = replace(first, statistics=statistics)
        search(lambda rate, start=start: short(replace(start, base_lr=rate)), first.base_lr)  # type: ignore[misc]
    short(replace(min(quick, key=lambda one: quick[one]), layer_decay=LAYER_DECAY))
    finalists = [
        min((one for one in quick if one.statistics == kind), key=lambda one: quick[one]) for kind in STATISTICS
    ]
    full = {
        (one, stop): loss for one in finalists for stop, loss in zip(STOPS, trial(one, held, stops=STOPS), strict=True)
    }
    chosen, stop = min(full, key=lambda one: full[one])
    tried = [one.base_lr for one in quick if one.statistics == chosen.statistics]
    edges = [*_edges("learning rate", chosen.base_lr, tried), *(["length"] if stop == STOPS[-1] else [])]
    chosen = replace(chosen, taken=stop, edges=tuple(edges))
    gain = sum(len(part.cut) * (part.probe_loss - trial(chosen, part, stops=(stop,))[0]) for part in others)
    return chosen if gain > 0 else NO_STEP


def tune_from_scratch(trial: Trial, held: HeldOut, first: Training, lengths: Sequence[float | None]) -> Training:
    """How to train fresh weights: the rate at the first of `lengths` (epochs), then the weight decay, then the length.

    The next length is tried as long as the one before it was better than the shorter one.
    """

    def loss(training: Training) -> float:
        return trial(training, held)[0]

    rate, losses = search(lambda rate: loss(replace(first, base_lr=rate, epochs=lengths[0])), first.base_lr)
    edges = _edges("learning rate", rate, list(losses))
    best, least = replace(first, base_lr=rate, epochs=lengths[0]), losses[rate]
    decay, losses = search(
        lambda decay: least if decay == first.weight_decay else loss(replace(best, weight_decay=decay)),
        first.weight_decay,
        factor=DECAY_FACTOR,
    )
    edges += _edges("weight decay", decay, list(losses))
    best, least = replace(best, weight_decay=decay), losses[decay]
    for epochs in lengths[1:]:
        longer = replace(best, epochs=epochs)
        if (now := loss(longer)) >= least:
            break
        best, least = longer, now
    if best.epochs is not None and best.epochs == lengths[-1]:
        edges += ["length"]
    return replace(best, edges=tuple(edges))


def search(
    loss: Callable[[float], float], first: float, *, factor: float = RATE_FACTOR
) -> tuple[float, dict[float, float]]:
    """The value with the least loss among first * factor^j, j whole, and the loss of each that was tried.

    Both neighbours of `first` are tried, then on in the direction of the best while that is the last one tried, at most
    MOST_VALUES in all. Of equals the earlier one counts.
    """
    known = {place: loss(first * factor**place) for place in (0, 1, -1)}
    while len(known) < MOST_VALUES:
        best = min(known, key=lambda place: known[place])
        beyond = [place for place in (best - 1, best + 1) if place not in known]
        if not beyond:
            break
        known[beyond[0]] = loss(first * factor ** beyond[0])
    best = min(known, key=lambda place: known[place])
    return first * factor**best, {first * factor**place: value for place, value in known.items()}


def _edges(name: str, value: float, tried: Sequence[float]) -> list[str]:
    return [name] if value in (min(tried), max(tried)) else []


def choice_folds(ids: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None = None) -> list[Fold]:
    """Places (kept, cut) among labelled images to choose on: a fifth of each class is cut off in turn.

    As many folds as `folds_needed`. At most 5,000 images serve, or about as many in whole `groups`. None where a class
    has fewer than five or no group can be cut off.
    """
    counts = np.bincount(ids)
    if counts[counts > 0].min() < FOLDS:
        return []
    places = np.arange(len(ids))
    if len(ids) > MOST_TO_CHOOSE_ON:
        places = label_fraction(ids, MOST_TO_CHOOSE_ON / len(ids), 0, groups)
        if len(places) > MOST_TO_CHOOSE_ON and groups is None:  # rounded up in most classes: one less of each
            places = label_fraction(ids, (MOST_TO_CHOOSE_ON - len(np.unique(ids))) / len(ids), 0)
    folds = stratified_folds(ids[places], groups=None if groups is None else groups[places])
    return [(places[kept], places[cut]) for kept, cut in folds[: folds_needed(len(places))]]


def folds_needed(labels: int) -> int:
    """The first fold, and as many of the others as it takes to judge on 500 images; at most five."""
    return min(FOLDS, 1 + math.ceil(FOLDS * LEAST_SELECTION / min(labels, MOST_TO_CHOOSE_ON)))


def choose_rate(
    settings: TrainingSettings, logits_of: Callable[[float], Float32[np.ndarray, "v k"]], ids: Int64[np.ndarray, " v"]
) -> float:
    """The paper's choice: the rate whose network, trained on the kept images, has the least cross-entropy on the cut.

    `logits_of(rate)` trains and returns logits for the cut images, whose classes are `ids`. A rate at which training
    diverges is never taken, unless all do.
    """
    losses = []
    for rate in settings.rates:
        try:
            losses.append(cross_entropy(logits_of(rate), ids))
        except DivergedError:
            losses.append(math.inf)
    return settings.rates[losses.index(min(losses))]
