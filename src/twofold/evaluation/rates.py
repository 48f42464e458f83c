"""How fast this machine is at the parts of an evaluation, tried for a few seconds: for the time that is announced."""

import time
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np
from jaxtyping import Float32, Int64

from twofold.evaluation.embed import embed_images
from twofold.evaluation.linear import fit_linear
from twofold.evaluation.network import Schedule, build_network, fit_network
from twofold.evaluation.scope import Scope
from twofold.evaluation.subject import Subject
from twofold.evaluation.tuning import MANNERS
from twofold.recipes.recipe import OptimRecipe

_TRIED = 512
_PRODUCTS_A_FIT = 30  # of L-BFGS, warm starts included, in the trials that the estimate was fitted to
_PIXEL_NUMBERS = 972
_BATCHES = (16, 128)


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Seconds of the parts of an evaluation on given pictures."""

    embedding_s: float  # of all train and test pictures by one encoder
    knn_s: float  # one vote
    step_s: float  # a training step, whatever its batch
    train_s: float  # and what each picture adds to it
    product_s: float  # one number of x through the probe's loss and gradient
    test_s: float  # embedding test
    dim: int

    def linear_s(self, encoder: str, labels: float, fits: int) -> float:
        """So many fits of the probe on `labels` labelled pictures."""
        width = _PIXEL_NUMBERS if encoder == "pixels" else self.dim
        return fits * _PRODUCTS_A_FIT * labels * width * self.product_s

    def training_s(self, schedule: Schedule, protocol: str) -> float:
        """Training one network; a frozen encoder has no backward pass."""
        whole = schedule.steps * (self.step_s + schedule.batch_size * self.train_s)
        return whole * (0.4 if protocol == "sgd" else 1.0)


def measure_rates(subject: Subject, scope: Scope) -> Rates:
    """Embed a few hundred pictures, take a few steps, fit one small probe."""
    labelled, classes = scope.labelled, len(scope.labelled.classes)
    rows = labelled.train[:_TRIED]
    h = _embed(subject, scope, rows)
    began = time.perf_counter()
    _embed(subject, scope, rows)  # once more: the first call also warms up
    picture_s = (time.perf_counter() - began) / len(rows)
    x = np.tile(h, (4, 1)).astype(np.float32)
    y = np.tile(labelled.train_ids[: len(rows)], 4)
    fit_linear(x, y, classes, 1e-2, iterations=1)  # warms up
    began = time.perf_counter()
    fit_linear(x, y, classes, 1e-2, iterations=10)
    product_s = (time.perf_counter() - began) / (10 * x.size)
    count = len(labelled.train) + len(labelled.test)
    step_s, train_s = _training(subject, scope) if scope.settings.trained else (0.0, 0.0)
    return Rates(
        embedding_s=picture_s * count,
        knn_s=len(labelled.train) * len(labelled.test) * h.shape[1] / 2e10,
        step_s=step_s,
        train_s=train_s,
        product_s=product_s,
        test_s=picture_s * len(labelled.test),
        dim=h.shape[1],
    )


def _training(subject: Subject, scope: Scope) -> tuple[float, float]:
    """Seconds of a step and of each picture in it, from steps with few pictures and with many."""
    few, many = min(_BATCHES[0], len(scope.labelled.train)), min(_BATCHES[1], len(scope.labelled.train))
    small_s, large_s = _step_s(subject, scope, few), _step_s(subject, scope, many)
    picture_s = max(0.0, large_s - small_s) / max(1, many - few)
    return max(0.0, small_s - few * picture_s), picture_s


def _step_s(subject: Subject, scope: Scope, count: int) -> float:
    """Median seconds of a training step with `count` pictures; the first steps are not counted."""
    network = build_network(
        subject.encoder,
        dim=subject.dim,
        classes=len(scope.labelled.classes),
        hardware=subject.hardware,
        seed=0,
    )
    optim = OptimRecipe(optimizer="sgd", base_lr=MANNERS["finetune"].rates[0], warmup_fraction=0.0)
    moments: list[float] = []
    fit_network(
        network,
        scope.images,
        scope.labelled.train[:count],
        scope.labelled.train_ids[:count],
        views=subject.views,
        hardware=subject.hardware,
        schedule=Schedule(steps=8, batch_size=count, optim=optim),
        seed=0,
        each_step=lambda step: moments.append(time.perf_counter()),  # noqa: ARG005
    )
    return median(after - before for before, after in pairwise(moments[2:]))


def _embed(subject: Subject, scope: Scope, rows: Int64[np.ndarray, " n"]) -> Float32[np.ndarray, "n d"]:
    return embed_images(subject.encoder, scope.images, rows, views=subject.views, hardware=subject.hardware)
