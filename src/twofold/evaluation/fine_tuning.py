"""Fine-tuning, training from scratch, and a linear probe by SGD, measured at each budget of labels.

How a network is trained is chosen on the labels of the first draw that it may see, never on test.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Int64

from twofold.data import ImageSet
from twofold.errors import DivergedError, NotFiniteError
from twofold.evaluation.calibration import fit_temperature
from twofold.evaluation.features import Features, Subject, embed_images, frozen, head_part
from twofold.evaluation.labels import Fold, Labels, MeasuredRows, given_places
from twofold.evaluation.linear_probe import L2_GRID, fit_draw, fit_few
from twofold.evaluation.logistic_regression import LinearProbe, cross_entropy, fit_scaling
from twofold.evaluation.networks import Network, build_network, diverged, fit_network
from twofold.evaluation.predictions import Predictions, PredictionStore, rank_classes, softmax_confidence
from twofold.evaluation.schedules import (
    TRAINING_SETTINGS,
    Schedule,
    Training,
    TrainingSettings,
    chosen_schedule,
    make_schedule,
)
from twofold.evaluation.tuning import (
    FIRST,
    LENGTHS,
    HeldOut,
    choice_folds,
    choose_rate,
    tune_from_scratch,
    tune_pretrained,
)

MOST_SHOWN = 500_000  # images that a length longer than the first may show to one network


@dataclass(frozen=True, kw_only=True)
class NetworkProtocol:
    """Trains networks for one `protocol`: finetune, supervised (from scratch) or sgd (a frozen encoder).

    `start` is the layer that fine-tuning puts its classifier on: "h", or an output of the head, whose layers up to
    there are then trained too (reference 4.2, ft_proj_selector). `features` gives that layer's features, of which
    fine-tuning takes the linear probe that it starts from; `folds` and `grid` are those of the probe with all labels.
    `paper`: the paper's schedules and a random classifier. `epochs` replaces the length of all schedules.
    """

    protocol: str
    subject: Subject
    images: ImageSet
    rows: MeasuredRows
    features: Callable[[], Features]
    folds: dict[int, list[Fold]] = field(default_factory=dict)
    grid: Sequence[float] = L2_GRID
    start: str = "h"
    paper: bool = False
    epochs: float | None = None

    @property
    def settings(self) -> TrainingSettings:
        """Learning rates and epochs of the paper."""
        return TRAINING_SETTINGS[self.protocol]

    @property
    def is_tuned(self) -> bool:
        """Whether more than the rate is chosen."""
        return self.protocol in FIRST and not self.paper

    def predict(self, labels: Labels, seed: int, store: PredictionStore) -> Predictions:
        """Train on the labels of that budget and seed, predict test. How is that of `training`."""
        training = self.training(labels, store)
        probe = self._probe(labels, seed) if self.is_tuned and self.protocol == "finetune" else None
        if training.taken > 0:
            own = given_places(self.rows.train_ids, labels, seed, self.rows.groups)
            logits = self._logits(own, self.rows.test, training, seed, probe)
        else:
            assert probe is not None
            logits = probe.logits(self.features().test)
        return Predictions(
            protocol=self.protocol,
            encoder="untrained" if self.protocol == "supervised" else self.subject.name,
            labels=labels,
            seed=seed,
            ranked=rank_classes(logits),
            confidence=softmax_confidence(logits),
            base_lr=training.base_lr,
            training=dataclasses.asdict(training) if self.is_tuned else None,
        )

    def training(self, labels: Labels, store: PredictionStore) -> Training:
        """How networks are trained on a budget: chosen on the labels of seed 0 alone, the same for all seeds."""
        name = f"{self.protocol}/{self.start}/{labels}"
        if self.is_tuned:
            return Training.from_dict(store.value(f"{name}/training", lambda: dataclasses.asdict(self._choose(labels))))
        rates = self.settings.rates
        rate = float(store.value(f"{name}/rate", lambda: self._choose_rate(labels))) if len(rates) > 1 else rates[0]
        return Training(base_lr=rate, weight_decay=self.settings.weight_decay)

    def schedule(self, training: Training, labels: int, share: float = 1.0) -> Schedule:
        """Of a network on so many labelled images."""
        train = len(self.rows.train)
        if not self.is_tuned:
            return make_schedule(self.settings, training.base_lr, labels=labels, train=train, epochs=self.epochs)
        return chosen_schedule(self.settings, training, labels=labels, train=train, epochs=self.epochs, share=share)

    def lengths(self, labels: int) -> list[float | None]:
        """Epochs to choose among, from scratch: the shortest, and longer ones that do not show too many images."""
        if self.epochs:
            return [None]  # it is given
        epochs_of: dict[int, float | None] = {}  # steps -> epochs: with few labels several lengths are the least one
        for epochs in LENGTHS:
            schedule = self.schedule(Training(base_lr=1.0, epochs=epochs), labels)
            if not epochs_of or schedule.steps * schedule.batch_size <= MOST_SHOWN:
                epochs_of.setdefault(schedule.steps, epochs)
        return list(epochs_of.values())

    def network(self, seed: int, probe: LinearProbe | None = None) -> Network:
        """The network before training: a function of the seed; with the answers of `probe`, if there is one."""
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
            start=probe,
        )

    def _choose(self, labels: Labels) -> Training:
        own = given_places(self.rows.train_ids, labels, 0, self.rows.groups)
        folds = choice_folds(self.rows.train_ids[own], self.rows.groups_of(own))
        held_out = [self._held(own[kept], own[cut]) for kept, cut in folds]
        first = FIRST[self.protocol]
        if self.protocol == "finetune":
            return tune_pretrained(self._trial, held_out, first)
        return tune_from_scratch(self._trial, held_out[0], first, self.lengths(len(own))) if held_out else first

    def _choose_rate(self, labels: Labels) -> float:
        own = given_places(self.rows.train_ids, labels, 0, self.rows.groups)
        folds = choice_folds(self.rows.train_ids[own], self.rows.groups_of(own))
        if not folds:
            return self.settings.rates[0]
        kept, cut = (own[part] for part in folds[0])

        def logits_of(rate: float) -> Float32[np.ndarray, "m c"]:
            return self._logits(kept, self.rows.train[cut], Training(base_lr=rate), 0)

        return choose_rate(self.settings, logits_of, self.rows.train_ids[cut])

    def _probe(self, labels: Labels, seed: int) -> LinearProbe:
        """The linear probe of that draw, the same that is measured by itself, on features as they are."""
        x = self.features().train
        scaling = fit_scaling(x)
        probe, _ = fit_draw(scaling(x), self.rows, labels, seed, folds=self.folds, grid=self.grid)
        return probe.unscaled(scaling)

    def _held(self, kept: Int64[np.ndarray, " k"], cut: Int64[np.ndarray, " m"]) -> HeldOut:
        """Places of train to train on and to measure on; for fine-tuning with the probe of those to train on."""
        if self.protocol != "finetune":
            return HeldOut(kept, cut)
        x, ids = self.features().train, self.rows.train_ids
        scaling, classes = fit_scaling(x), len(self.rows.classes)
        shots, groups = int(np.bincount(ids[kept]).min()), self.rows.groups_of(kept)
        probe, _ = fit_few(scaling(x[kept]), ids[kept], classes=classes, shots=shots, groups=groups)
        probe = probe.unscaled(scaling)
        return HeldOut(kept, cut, probe, held_out_loss(probe.logits(x[cut]), ids[cut]))

    def _trial(
        self, training: Training, held: HeldOut, *, share: float = 1.0, stops: Sequence[float] = (1.0,)
    ) -> list[float]:
        """See `Trial`: with seed 0, so that all see the same images in the same order."""
        network, schedule = self.network(0, held.probe), self.schedule(training, len(held.kept), share)
        wanted = [max(1, round(stop * schedule.steps)) for stop in stops]
        losses: dict[int, float] = {}

        def measure(step: int) -> None:
            if step in wanted:
                logits = self._answers(network, self.rows.train[held.cut], training.base_lr)
                losses[step] = held_out_loss(logits, self.rows.train_ids[held.cut])

        with contextlib.suppress(DivergedError):
            self._fit(network, held.kept, schedule, 0, measure)
        return [losses.get(step, math.inf) for step in wanted]

    def _logits(
        self,
        own: Int64[np.ndarray, " k"],
        asked: Int64[np.ndarray, " m"],
        training: Training,
        seed: int,
        probe: LinearProbe | None = None,
    ) -> Float32[np.ndarray, "m c"]:
        """Logits for the rows `asked`, of a network trained on the places `own` of train."""
        network = self.network(seed, probe)
        self._fit(network, own, self.schedule(training, len(own)), seed)
        return self._answers(network, asked, training.base_lr)

    def _fit(
        self,
        network: Network,
        own: Int64[np.ndarray, " k"],
        schedule: Schedule,
        seed: int,
        each_step: Callable[[int], None] = lambda step: None,  # noqa: ARG005
    ) -> None:
        with frozen(network.encoder) if network.frozen else contextlib.nullcontext():
            fit_network(
                network,
                self.images,
                self.rows.train[own],
                self.rows.train_ids[own],
                views=self.subject.views,
                hardware=self.subject.hardware,
                schedule=schedule,
                seed=seed,
                each_step=each_step,
            )

    def _answers(self, network: Network, asked: Int64[np.ndarray, " m"], rate: float) -> Float32[np.ndarray, "m c"]:
        views, hardware = self.subject.views, self.subject.hardware
        try:
            return embed_images(network, self.images, asked, views=views, hardware=hardware)
        except NotFiniteError as error:  # the loss of the last step was, but its gradient was too large
            raise diverged("logits that are", rate) from error


def held_out_loss(logits: Float32[np.ndarray, "m c"], y: Int64[np.ndarray, " m"]) -> float:
    """Cross-entropy, in nats, of logits at their best temperature: a network may be too sure and right all the same."""
    return cross_entropy((logits / fit_temperature(logits, y)).astype(np.float32), y)
