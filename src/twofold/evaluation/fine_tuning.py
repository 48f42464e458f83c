"""Fine-tuning, training from scratch, and a linear probe by SGD, measured at each budget of labels.

The learning rate is chosen on labels that the network may see, a fifth of the first labelled subset, never on test.
"""

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from twofold.data import ImageSet, label_fraction
from twofold.errors import DivergedError, NotFiniteError
from twofold.evaluation.features import Subject, embed_images, frozen, head_part
from twofold.evaluation.labels import FOLDS, Fold, Labels, MeasuredRows, given_places, stratified_folds
from twofold.evaluation.logistic_regression import cross_entropy
from twofold.evaluation.networks import Network, build_network, diverged, fit_network
from twofold.evaluation.predictions import Predictions, PredictionStore, rank_classes, softmax_confidence
from twofold.evaluation.schedules import TRAINING_SETTINGS, Schedule, TrainingSettings, make_schedule

MOST_TO_CHOOSE_ON = 5000


@dataclass(frozen=True, kw_only=True)
class NetworkProtocol:
    """Trains networks for one `protocol`: finetune, supervised (from scratch) or sgd (a frozen encoder).

    `start` is the layer that fine-tuning puts its classifier on: "h", or an output of the head, whose layers up to
    there are then trained too (reference 4.2, ft_proj_selector).
    """

    protocol: str
    subject: Subject
    images: ImageSet
    rows: MeasuredRows
    start: str = "h"
    epochs: float | None = None

    @property
    def settings(self) -> TrainingSettings:
        """Learning rates and epochs."""
        return TRAINING_SETTINGS[self.protocol]

    def predict(self, labels: Labels, seed: int, store: PredictionStore) -> Predictions:
        """Train on the labels of that budget and seed, predict test. The learning rate is that of `rate`."""
        rate = self.rate(labels, store)
        own = given_places(self.rows.train_ids, labels, seed, self.rows.groups)
        logits = self._logits(own, self.rows.test, rate, seed)
        return Predictions(
            protocol=self.protocol,
            encoder="untrained" if self.protocol == "supervised" else self.subject.name,
            labels=labels,
            seed=seed,
            ranked=rank_classes(logits),
            confidence=softmax_confidence(logits),
            base_lr=rate,
        )

    def rate(self, labels: Labels, store: PredictionStore) -> float:
        """The learning rate for a budget: chosen on the labels of seed 0 alone, the same for all seeds."""
        if len(self.settings.rates) == 1:
            return self.settings.rates[0]
        return float(store.value(f"{self.protocol}/{self.start}/{labels}/rate", lambda: self._choose(labels)))

    def schedule(self, rate: float, labels: int) -> Schedule:
        """Of a network on so many labelled images."""
        return make_schedule(self.settings, rate, labels=labels, train=len(self.rows.train), epochs=self.epochs)

    def network(self, seed: int) -> Network:
        """The network before training: a function of the seed."""
        encoder = self.subject.fresh(seed) if self.protocol == "supervised" else self.subject.encoder
        inner = head_part(self.subject.head, self.start) if self.protocol == "finetune" and self.start != "h" else None
        dim = self.subject.dim if inner is None else int(inner[-1].dense.out_features)  # type: ignore[union-attr,arg-type]
        return build_network(
            encoder,
            dim=dim,
            classes=len(self.rows.classes),
            hardware=self.subject.hardware,
            seed=seed,
            inner=inner,
            frozen=self.protocol == "sgd",
        )

    def _choose(self, labels: Labels) -> float:
        own = given_places(self.rows.train_ids, labels, 0, self.rows.groups)
        places = choice_places(self.rows.train_ids[own], self.rows.groups_of(own))
        if places is None:
            return self.settings.rates[0]
        kept, cut = (own[part] for part in places)
        asked = self.rows.train[cut]
        return choose_rate(self.settings, lambda rate: self._logits(kept, asked, rate, 0), self.rows.train_ids[cut])

    def _logits(
        self, own: Int64[np.ndarray, " k"], asked: Int64[np.ndarray, " m"], rate: float, seed: int
    ) -> Float32[np.ndarray, "m c"]:
        """Logits for the rows `asked`, of a network trained on the places `own` of train."""
        network, subject = self.network(seed), self.subject
        with frozen(network.encoder) if network.frozen else contextlib.nullcontext():
            fit_network(
                network,
                self.images,
                self.rows.train[own],
                self.rows.train_ids[own],
                views=subject.views,
                hardware=subject.hardware,
                schedule=self.schedule(rate, len(own)),
                seed=seed,
            )
        try:
            return embed_images(network, self.images, asked, views=subject.views, hardware=subject.hardware)
        except NotFiniteError as error:  # the loss of the last step was, but its gradient was too large
            raise diverged("logits that are", rate) from error


def choice_places(ids: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None = None) -> Fold | None:
    """Places (kept, cut) among labelled images to choose a learning rate on: a fifth of each class is cut off.

    At most 5,000 images serve, or about as many in whole `groups`. None where a class has fewer than five or no group
    can be cut off: then the paper's rate is taken as it is.
    """
    counts = np.bincount(ids)
    if counts[counts > 0].min() < FOLDS:
        return None
    places = np.arange(len(ids))
    if len(ids) > MOST_TO_CHOOSE_ON:
        places = label_fraction(ids, MOST_TO_CHOOSE_ON / len(ids), 0, groups)
        if len(places) > MOST_TO_CHOOSE_ON and groups is None:  # rounded up in most classes: one less of each
            places = label_fraction(ids, (MOST_TO_CHOOSE_ON - len(np.unique(ids))) / len(ids), 0)
    folds = stratified_folds(ids[places], groups=None if groups is None else groups[places])
    return (places[folds[0][0]], places[folds[0][1]]) if folds else None


def choose_rate(
    settings: TrainingSettings, logits_of: Callable[[float], Float32[np.ndarray, "v k"]], ids: Int64[np.ndarray, " v"]
) -> float:
    """The rate whose network, trained on the kept images, has the least cross-entropy on the cut ones.

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
