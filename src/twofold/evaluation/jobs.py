"""The measurements of an evaluation as jobs, each with a name to keep it under and a guess of its time."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

import numpy as np

from twofold.console import duration
from twofold.evaluation.features import FeatureCache, Subject, embed_images, head_layers
from twofold.evaluation.fine_tuning import MOST_TO_CHOOSE_ON, NetworkProtocol
from twofold.evaluation.labels import FOLDS, Labels, label_count
from twofold.evaluation.logistic_regression import fit_linear
from twofold.evaluation.nearest_neighbours import predict_by_knn
from twofold.evaluation.predictions import Predictions, PredictionStore
from twofold.evaluation.probes import FEW_L2_GRID, predict_by_linear_probe
from twofold.evaluation.protocols import PROTOCOLS, with_labels
from twofold.evaluation.scope import Scope
from twofold.evaluation.self_trainer import TRIAL, trainings_to_choose
from twofold.evaluation.self_training import LABELLED, UNLABELLED
from twofold.evaluation.self_training_protocol import NAME as SELF_TRAINING
from twofold.evaluation.self_training_protocol import SelfTrainingProtocol

Draw = tuple[int, Labels]  # seed, budget
_TRIALS = 3
_IMAGES, _PART = 128, 16  # that are tried, and in batches of how many
_TRAINING = 3.0  # forward and backward pass together, in forward passes
_PRODUCTS_A_FIT = 30  # of L-BFGS, warm starts included, in the trials that the guess was fitted to
_PIXEL_NUMBERS = 972


@dataclass(frozen=True, kw_only=True)
class Job:
    """A piece of work that is done as a whole or, after an interruption, again."""

    name: str
    title: str
    seconds: float
    predict: Callable[[], list[Predictions]]


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast this machine is at the parts of an evaluation, in seconds: for the time that is announced."""

    call_s: float  # of the encoder on a batch, whatever its size
    image_s: float  # and what each image adds to it
    product_s: float  # one number of x through the probe's loss and gradient
    dim: int  # of h

    def embedding_s(self, images: int) -> float:
        """Embedding so many images in batches of 512."""
        return images * self.image_s + (images // 512 + 1) * self.call_s

    def training_s(self, steps: int, batch_size: int, *, frozen: bool) -> float:
        """Training a network; a frozen encoder has no backward pass."""
        return steps * (self.call_s + batch_size * self.image_s) * (1.0 if frozen else _TRAINING)

    def fits_s(self, labels: int | float, dim: int, fits: int) -> float:
        """So many fits of the linear probe on `labels` labelled images with `dim` features."""
        return fits * _PRODUCTS_A_FIT * labels * dim * self.product_s


def plan_jobs(subject: Subject, scope: Scope, store: PredictionStore) -> list[Job]:
    """Probes on the features of every encoder, then networks, from few labels to many."""
    speed = measure_speed(subject, scope)
    jobs = list(_probe_jobs(subject, scope, speed))
    for protocol in scope.settings.trained:
        if protocol == SELF_TRAINING:
            jobs += _self_training_jobs(subject, scope, store, speed)
            continue
        network = NetworkProtocol(
            protocol=protocol,
            subject=subject,
            images=scope.images,
            rows=scope.rows,
            start=scope.settings.start if protocol == "finetune" else "h",
            epochs=scope.settings.epochs,
        )
        jobs += _network_jobs(network, scope, store, speed)
    return jobs


def work_through(jobs: Sequence[Job], store: PredictionStore, say: Callable[[str], None]) -> list[Predictions]:
    """The predictions of all jobs in their order; those that the store holds are read, the others made and kept.

    What they will take is said first, and how far it is after each.
    """
    todo = [job for job in jobs if not store.has(job.name)]
    begun = f", {len(jobs) - len(todo)} of them made before an interruption" if len(todo) < len(jobs) else ""
    say(f"{len(jobs)} measurements{begun}: about {duration(sum((job.seconds for job in todo), 0.0))}")
    clock = _Clock(todo)
    predictions: list[Predictions] = []
    for place, job in enumerate(jobs, start=1):
        waiting = not store.has(job.name)
        began = time.monotonic()
        predictions += store.predictions(job.name, partial(_timed, job))
        if waiting:
            took = time.monotonic() - began
            left = clock.left_after(job, took)
            ending = f", about {duration(left)} left" if place < len(jobs) else ""
            say(f"[{place} of {len(jobs)}] {job.title}: {duration(took)}{ending}")
    return predictions


def measure_speed(subject: Subject, scope: Scope) -> Speed:
    """Embed a hundred images in small batches and in one, fit one small probe: medians of a few trials.

    The difference of the two is what the calls of the encoder take by themselves.
    """
    rows, count = scope.rows, min(_IMAGES, len(scope.rows.train))

    def embed(batch_size: int) -> np.ndarray:
        asked, views = rows.train[:count], subject.views
        return embed_images(
            subject.encoder, scope.images, asked, views=views, hardware=subject.hardware, batch_size=batch_size
        )

    h = embed(count)  # warms up
    parts_s, whole_s = _median_s(partial(embed, _PART)), _median_s(partial(embed, count))
    call_s = max(0.0, parts_s - whole_s) / max(1, math.ceil(count / _PART) - 1)
    x, y = np.tile(h, (16, 1)).astype(np.float32), np.tile(rows.train_ids[:count], 16)
    fit = partial(fit_linear, x, y, len(rows.classes), 1e-2, iterations=5)
    return Speed(
        call_s=call_s,
        image_s=max(0.0, whole_s - call_s) / count,
        product_s=_median_s(fit) / (5 * x.size),
        dim=h.shape[1],
    )


def _median_s(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(_TRIALS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return median(taken)


def _sources(subject: Subject, scope: Scope) -> Iterator[tuple[str, int | None]]:
    """(encoder, weights) of all features, those of the head's layers right after h, which they are made from."""
    yield subject.name, None
    for layer in head_layers(subject.head) if scope.settings.layers else ():
        yield layer, None
    if scope.settings.baselines and subject.untrained is not None:
        for seed in scope.settings.seeds:
            yield "untrained", seed
    if scope.settings.baselines:
        yield "pixels", None


def _probe_jobs(subject: Subject, scope: Scope, speed: Speed) -> Iterator[Job]:
    cache = FeatureCache(subject, scope.images, scope.rows)
    train, test = len(scope.rows.train), len(scope.rows.test)
    for encoder, weights in _sources(subject, scope) if scope.settings.probes else ():
        inner = encoder in head_layers(subject.head)
        source = encoder if weights is None else f"{encoder}, weights of seed {weights}"
        dim = _PIXEL_NUMBERS if encoder == "pixels" else speed.dim
        embedding_s = 0.0 if encoder == "pixels" or inner else speed.embedding_s(train + test)
        for protocol in scope.settings.probes:
            if protocol == "knn" and not inner:
                draws = [*_whole(scope, weights, first=weights is None), *_few(scope, weights)]
                yield Job(
                    name=f"{encoder}/{weights}/knn",
                    title=f"{source}: {PROTOCOLS['knn']}",
                    seconds=embedding_s + len(draws) * train * test * dim / 2e10,
                    predict=partial(_knn, cache, scope, encoder, weights, draws),
                )
                embedding_s = 0.0  # the first job of an encoder embeds for all
            elif protocol == "linear":
                for labels in scope.budgets:
                    draws = _whole(scope, weights) if labels == "all" else _few(scope, weights, labels)
                    if not draws:  # fewer draws of labels than sets of untrained weights
                        continue
                    count = label_count(scope.rows, labels)
                    yield Job(
                        name=f"{encoder}/{weights}/linear/{labels}",
                        title=f"{source}: {PROTOCOLS['linear']} {with_labels(labels)}",
                        seconds=embedding_s + speed.fits_s(count, dim, len(draws) * _fits(scope, labels)),
                        predict=partial(_linear, cache, scope, encoder, weights, draws),
                    )
                    embedding_s = 0.0


def _fits(scope: Scope, labels: Labels) -> int:
    """How often a probe is fitted for one draw: along the path of L2 on every fold, then once more."""
    if labels == "all":
        return len(scope.folds[scope.settings.seeds[0]]) * len(scope.settings.grid) + 1
    if isinstance(labels, int) and labels < FOLDS:
        return 1
    return FOLDS * len(FEW_L2_GRID) + 1


def _whole(scope: Scope, weights: int | None, first: bool = False) -> list[Draw]:
    seeds = scope.settings.seeds[:1] if first else scope.settings.seeds
    return [(seed, "all") for seed in (seeds if weights is None else (weights,))]


def _few(scope: Scope, weights: int | None, only: Labels | None = None) -> list[Draw]:
    """Draws with few labels; on untrained weights only those that fall to them: seed % sets of weights."""
    sets = scope.settings.seeds
    return [
        (seed, labels)
        for labels in scope.few
        for place, seed in enumerate(scope.seeds(labels))
        if only in (None, labels) and (weights is None or sets[place % len(sets)] == weights)
    ]


def _knn(cache: FeatureCache, scope: Scope, encoder: str, weights: int | None, draws: list[Draw]) -> list[Predictions]:
    return predict_by_knn(cache.get(encoder, weights), scope.rows, draws, encoder=encoder, weights=weights)


def _linear(
    cache: FeatureCache, scope: Scope, encoder: str, weights: int | None, draws: list[Draw]
) -> list[Predictions]:
    return predict_by_linear_probe(
        cache.get(encoder, weights),
        scope.rows,
        draws,
        encoder=encoder,
        weights=weights,
        folds=scope.folds,
        grid=scope.settings.grid,
    )


def _network_jobs(network: NetworkProtocol, scope: Scope, store: PredictionStore, speed: Speed) -> Iterator[Job]:
    for labels in scope.network_budgets:
        count = label_count(scope.rows, labels)
        once = _training_s(network, count, speed) + speed.embedding_s(len(scope.rows.test))
        choosing = 0.0
        if len(network.settings.rates) > 1:
            kept = min(round(0.8 * count), MOST_TO_CHOOSE_ON)
            choosing = len(network.settings.rates) * _training_s(network, max(kept, 1), speed)
        for seed in scope.settings.seeds:
            yield Job(
                name=f"{network.protocol}/{network.start}/{labels}/{seed}",
                title=f"{PROTOCOLS[network.protocol]} {with_labels(labels)}, seed {seed}",
                seconds=once + (choosing if seed == scope.settings.seeds[0] else 0.0),
                predict=partial(_train, network, labels, seed, store),
            )


def _self_training_jobs(subject: Subject, scope: Scope, store: PredictionStore, speed: Speed) -> Iterator[Job]:
    cache = FeatureCache(subject, scope.images, scope.rows)
    protocol = SelfTrainingProtocol(
        subject=subject,
        images=scope.images,
        rows=scope.rows,
        features=partial(cache.get, subject.name),
        steps=scope.settings.self_train_steps,
    )
    embedding_s = speed.embedding_s(len(scope.rows.train) + len(scope.rows.test))
    for labels in scope.network_budgets:
        trainings = trainings_to_choose(label_count(scope.rows, labels), len(scope.rows.classes))
        once = _self_training_s(protocol.steps, speed) if trainings else 0.0
        for seed in scope.settings.seeds:
            choosing = trainings * once / TRIAL if seed == scope.settings.seeds[0] else 0.0
            yield Job(
                name=f"{SELF_TRAINING}/{labels}/{seed}",
                title=f"{PROTOCOLS[SELF_TRAINING]} {with_labels(labels)}, seed {seed}",
                seconds=once + choosing + embedding_s + speed.embedding_s(len(scope.rows.test)),
                predict=partial(_self_train, protocol, labels, seed, store),
            )
            embedding_s = 0.0  # for all of them, by the first


def _self_training_s(steps: int, speed: Speed) -> float:
    """The student's steps, and the teacher's answers."""
    return speed.training_s(steps, LABELLED + UNLABELLED, frozen=False) + speed.training_s(
        steps, UNLABELLED, frozen=True
    )


def _self_train(protocol: SelfTrainingProtocol, labels: Labels, seed: int, store: PredictionStore) -> list[Predictions]:
    return [protocol.predict(labels, seed, store)]


def _training_s(network: NetworkProtocol, labels: int, speed: Speed) -> float:
    schedule = network.schedule(1.0, labels)
    return speed.training_s(schedule.steps, schedule.batch_size, frozen=network.protocol == "sgd")


def _train(network: NetworkProtocol, labels: Labels, seed: int, store: PredictionStore) -> list[Predictions]:
    return [network.predict(labels, seed, store)]


def _timed(job: Job) -> list[Predictions]:
    """The predictions of a job; the first says how long they took, so that a continuation knows it too."""
    began = time.monotonic()
    first, *others = job.predict()
    return [replace(first, seconds=time.monotonic() - began), *others]


class _Clock:
    """The guesses of the jobs, corrected by how long those done so far took."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._left = sum((job.seconds for job in jobs), 0.0)
        self._guessed = self._took = 0.0

    def left_after(self, job: Job, took: float) -> float:
        """Seconds that the rest will take."""
        self._left -= job.seconds
        self._guessed += job.seconds
        self._took += took
        pace = self._took / self._guessed if self._guessed > 0 else 1.0
        return max(0.0, self._left) * min(max(pace, 0.1), 10.0)
