"""How networks are trained on labels: the paper's schedules, and the one choice that is left, the learning rate.

The choice is made on labels that the network may see: a fifth of the first labelled subset, never on test.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from twofold.data import label_fraction
from twofold.errors import DivergedError
from twofold.evaluation.linear import cross_entropy
from twofold.evaluation.network import Schedule
from twofold.evaluation.selection import FOLDS, stratified_folds
from twofold.recipes.recipe import OptimRecipe

LEAST_STEPS = 400
MOST_TO_CHOOSE_ON = 5000
_FEW = 1 / 30  # between the paper's 1 % and its 10 %
_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class Manner:
    """A way of training with labels. `rates` are the learning rates at batch 256 to choose among, the paper's first."""

    rates: tuple[float, ...]
    weight_decay: float
    epochs_of_few: float  # passes over a small share of the labels
    epochs: float


MANNERS = {
    "finetune": Manner(rates=(0.05, 0.0125, 0.2), weight_decay=0.0, epochs_of_few=60.0, epochs=30.0),
    "supervised": Manner(rates=(0.1, 0.025, 0.4), weight_decay=1e-4, epochs_of_few=60.0, epochs=30.0),
    "sgd": Manner(rates=(0.1,), weight_decay=0.0, epochs_of_few=90.0, epochs=90.0),
}


def make_schedule(manner: Manner, base_lr: float, *, labels: int, train: int, epochs: float | None = None) -> Schedule:
    """Steps and batch for `labels` labelled pictures of `train`: SGD with Nesterov momentum 0.9, cosine, no warm-up.

    `epochs` replaces the paper's (60 with 1 % of the labels, 30 with 10 % and more; appendix B.5, reference 5.2). A
    batch holds a quarter of the labelled pictures, 16 to 256 of them, at a rate of base_lr sqrt(B / 256). At least 400
    steps, since a few dozen pictures would otherwise be shown a handful of times.
    """
    batch = min(labels, _BATCH, max(16, 2 ** int(math.log2(max(1, labels / 4)))))
    passes = epochs or (manner.epochs_of_few if labels <= _FEW * train else manner.epochs)
    steps = max(1 if epochs else LEAST_STEPS, round(passes * labels / batch))
    optim = OptimRecipe(
        optimizer="sgd",
        base_lr=base_lr / math.sqrt(_BATCH),
        lr_scaling="sqrt",
        momentum=0.9,
        weight_decay=manner.weight_decay,
        warmup_fraction=0.0,
    )
    return Schedule(steps=steps, batch_size=batch, optim=optim)


def choice_places(ids: Int64[np.ndarray, " n"]) -> tuple[Int64[np.ndarray, " k"], Int64[np.ndarray, " v"]] | None:
    """Places (kept, cut) among labelled pictures to choose a learning rate on: a fifth of each class is cut off.

    At most 5,000 pictures serve. None where a class has fewer than five: then the paper's rate is taken as it is.
    """
    counts = np.bincount(ids)
    if counts[counts > 0].min() < FOLDS:
        return None
    places = np.arange(len(ids))
    if len(ids) > MOST_TO_CHOOSE_ON:
        places = label_fraction(ids, MOST_TO_CHOOSE_ON / len(ids), 0)
        if len(places) > MOST_TO_CHOOSE_ON:  # rounded up in most classes: one less of each
            places = label_fraction(ids, (MOST_TO_CHOOSE_ON - len(np.unique(ids))) / len(ids), 0)
    kept, cut = stratified_folds(ids[places])[0]
    return places[kept], places[cut]


def choose_rate(
    manner: Manner, logits_of: Callable[[float], Float32[np.ndarray, "v k"]], wanted: Int64[np.ndarray, " v"]
) -> float:
    """The rate whose network, trained on the kept pictures, gets most of the cut ones right; of equals, the surer one.

    `logits_of(rate)` trains and says what the cut pictures get. A rate at which training diverges is never taken,
    unless all do.
    """
    scores = []
    for rate in manner.rates:
        try:
            logits = logits_of(rate)
        except DivergedError:
            scores.append((-1, -math.inf))
            continue
        scores.append((int((logits.argmax(1) == wanted).sum()), -cross_entropy(logits, wanted)))
    return manner.rates[scores.index(max(scores))]
