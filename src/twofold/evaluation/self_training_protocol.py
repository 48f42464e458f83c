"""Self-training measured at each budget of labels: the images of train whose labels are not given count as unlabelled.

How it is done is chosen on the labels of seed 0; no image of test is ever among the unlabelled ones.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int64

from twofold.data import ImageSet
from twofold.evaluation.features import Features, Subject
from twofold.evaluation.labels import Labels, MeasuredRows, given_places
from twofold.evaluation.logistic_regression import fit_scaling
from twofold.evaluation.predictions import Predictions, PredictionStore, rank_classes, softmax_confidence
from twofold.evaluation.self_trainer import SelfTrainer, apart_from
from twofold.evaluation.self_training import SelfTraining

NAME = "self-train"


@dataclass(frozen=True, kw_only=True)
class SelfTrainingProtocol:
    """Self-trains copies of the subject's encoder for `steps` steps; `features` gives those of train."""

    subject: Subject
    images: ImageSet
    rows: MeasuredRows
    features: Callable[[], Features]
    steps: int

    def predict(self, labels: Labels, seed: int, store: PredictionStore) -> Predictions:
        """Train on the labels of that budget and seed and on all images of train, predict test.

        `base_lr` is 0 and `training` empty where the choice was not to self-train: these are then the answers of the
        linear probe.
        """
        how = self.how(labels, store)
        network = self.trainer.train(self._given(labels, seed), how, seed)
        logits = self.trainer.logits(network, self.rows.test)
        return Predictions(
            protocol=NAME,
            encoder=self.subject.name,
            labels=labels,
            seed=seed,
            ranked=rank_classes(logits),
            confidence=softmax_confidence(logits),
            base_lr=how.rate if how else 0.0,
            training=asdict(how) if how else {},
        )

    def how(self, labels: Labels, store: PredictionStore) -> SelfTraining | None:
        """How to self-train at a budget, or not at all: chosen on the labels of seed 0, the same for all seeds."""

        def choose() -> dict[str, float] | None:
            chosen = self.trainer.choose(self._given(labels, 0)).how
            return None if chosen is None else asdict(chosen)

        values = store.value(f"{NAME}/{labels}/how", choose)
        return None if values is None else SelfTraining(**values)

    @cached_property
    def trainer(self) -> SelfTrainer:
        """On all images of train, those of other classes and without a label among the unlabelled."""
        rows, subject = self.rows, self.subject
        h = self.features().train
        return SelfTrainer(
            encoder=subject.encoder,
            images=self.images,
            views=subject.views,
            hardware=subject.hardware,
            rows=rows.train,
            ids=rows.train_ids,
            classes=len(rows.classes),
            h=h,
            scaling=fit_scaling(h),
            unlabelled=apart_from(self.images, self.images.rows("train"), rows.test),
            groups=rows.groups,
            steps=self.steps,
        )

    def _given(self, labels: Labels, seed: int) -> Int64[np.ndarray, " k"]:
        return given_places(self.rows.train_ids, labels, seed, self.rows.groups)
