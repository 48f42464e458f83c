"""The measurements of an evaluation as jobs, each with a name to keep it under and a guess of its time."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from twofold.console import duration
from twofold.evaluation.cross_validation import Part, out_of_fold
from twofold.evaluation.features import FeatureCache, Features, Subject, head_layers
from twofold.evaluation.fine_tuning import NetworkProtocol
from twofold.evaluation.knn import predict_by_knn
from twofold.evaluation.labels import FOLDS, Fold, Labels, MeasuredRows, label_count
from twofold.evaluation.linear_probe import FEW_L2_GRID, predict_by_linear_probe
from twofold.evaluation.predictions import Predictions, PredictionStore
from twofold.evaluation.protocols import PROTOCOLS, with_labels
from twofold.evaluation.schedules import STATISTICS, Training
from twofold.evaluation.scope import Draw, Scope
from twofold.evaluation.self_trainer import trainings_to_choose, trial_steps
from twofold.evaluation.self_training import LABELLED, UNLABELLED
from twofold.evaluation.self_training_protocol import NAME as SELF_TRAINING
from twofold.evaluation.self_training_protocol import SelfTrainingProtocol
from twofold.evaluation.speed import Speed, measure_speed
from twofold.evaluation.tuning import MOST_TO_CHOOSE_ON, MOST_VALUES, QUICK, folds_needed

_PIXEL_NUMBERS = 972
_LONG_S = 600.0  # of training networks, from which on it is said how to leave them out


@dataclass(frozen=True, kw_only=True)
class Job:
    """A piece of work that is done as a whole or, after an interruption, again. `trains`: networks, not a probe."""

    name: str
    title: str
    seconds: float
    predict: Callable[[], list[Predictions]]
    trains: bool = False


def plan_jobs(subject: Subject, scope: Scope, store: PredictionStore) -> list[Job]:
    """Probes on the features of every encoder, then networks, from few labels to many."""
    speed = measure_speed(subject, scope)
    cache = FeatureCache(subject, scope.images, scope.rows)
    jobs = list(_probe_jobs(subject, scope, cache, speed))
    for protocol in scope.settings.trained:
        if protocol == SELF_TRAINING:
            jobs += _self_training_jobs(subject, scope, cache, store, speed)
            continue
        start = scope.settings.start if protocol == "finetune" else "h"
        network = NetworkProtocol(
            protocol=protocol,
            subject=subject,
            images=scope.images,
            rows=scope.rows,
            features=partial(cache.get, subject.name if start == "h" else start),
            folds=scope.folds,
            grid=scope.settings.grid,
            start=start,
            paper=scope.settings.schedule == "paper",
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
    training_s = sum((job.seconds for job in todo if job.trains), 0.0)
    networks = f", {duration(training_s)} of it for networks (leave them out with --protocol linear)"
    total = duration(sum((job.seconds for job in todo), 0.0))
    say(f"{len(jobs)} measurements{begun}: about {total}{networks if training_s > _LONG_S else ''}")
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


def _probe_jobs(subject: Subject, scope: Scope, cache: FeatureCache, speed: Speed) -> Iterator[Job]:
    train, test = len(scope.fitted.train), len(scope.rows.test)
    folds = FOLDS if scope.parts else 1
    for encoder, weights in _sources(subject, scope) if scope.settings.probes else ():
        inner = encoder in head_layers(subject.head)
        source = encoder if weights is None else f"{encoder}, weights of seed {weights}"
        dim = _PIXEL_NUMBERS if encoder == "pixels" else speed.dim
        embedding_s = 0.0 if encoder == "pixels" or inner else speed.embedding_s(train + test)
        for protocol in scope.settings.probes:
            if protocol == "knn" and not inner:
                draws = scope.draws(weights, scope.budgets)
                if weights is None and not scope.parts:  # nothing is chosen: every seed would give the same
                    draws = [draw for draw in draws if draw[1] != "all" or draw[0] == scope.settings.seeds[0]]
                yield Job(
                    name=f"{encoder}/{weights}/knn",
                    title=f"{source}: {PROTOCOLS['knn']}",
                    seconds=embedding_s + len(draws) * train * test * dim / 2e10,
                    predict=partial(_probe, cache, scope, encoder, weights, draws, protocol),
                )
                embedding_s = 0.0  # the first job of an encoder embeds for all
            elif protocol == "linear":
                for labels in scope.budgets:
                    draws = scope.draws(weights, [labels])
                    if not draws:  # fewer draws of labels than sets of untrained weights
                        continue
                    count = label_count(scope.fitted, labels)
                    yield Job(
                        name=f"{encoder}/{weights}/linear/{labels}",
                        title=f"{source}: {PROTOCOLS['linear']} {with_labels(labels)}",
                        seconds=embedding_s + speed.fits_s(count, dim, folds * len(draws) * _fits(scope, labels)),
                        predict=partial(_probe, cache, scope, encoder, weights, draws, protocol),
                    )
                    embedding_s = 0.0


def _fits(scope: Scope, labels: Labels) -> int:
    """How often a probe is fitted for one draw: along the path of L2 on every fold, then once more."""
    if labels == "all":
        return len(scope.selection) * len(scope.settings.grid) + 1
    if isinstance(labels, int) and labels < FOLDS:
        return 1
    return FOLDS * len(FEW_L2_GRID) + 1


def _probe(
    cache: FeatureCache, scope: Scope, encoder: str, weights: int | None, draws: list[Draw], protocol: str
) -> list[Predictions]:
    features = cache.get(encoder, weights)

    def predict(h: Features, rows: MeasuredRows, own: list[Draw], folds: dict[int, list[Fold]]) -> list[Predictions]:
        if protocol == "knn":
            return predict_by_knn(h, rows, own, encoder=encoder, weights=weights)
        grid = scope.settings.grid
        return predict_by_linear_probe(h, rows, own, encoder=encoder, weights=weights, folds=folds, grid=grid)

    def predict_part(part: Part, draw: Draw) -> Predictions:
        return predict(part.of(features), part.rows, [draw], {draw[0]: part.folds})[0]

    if not scope.parts:
        return predict(features, scope.rows, draws, scope.folds)
    return [out_of_fold(scope.parts[draw[0]], partial(predict_part, draw=draw)) for draw in draws]


def _network_jobs(network: NetworkProtocol, scope: Scope, store: PredictionStore, speed: Speed) -> Iterator[Job]:
    def on(part: Part) -> NetworkProtocol:
        folds = dict.fromkeys(scope.settings.seeds, part.folds)
        return replace(network, rows=part.rows, folds=folds, features=lambda: part.of(network.features()))

    for labels in scope.network_budgets:
        count, times = label_count(scope.fitted, labels), FOLDS if scope.parts else 1
        once, choosing = _network_s(network, labels, count, speed)
        once += speed.embedding_s(len(scope.rows.test))
        for seed in scope.settings.seeds:
            yield Job(
                name=f"{network.protocol}/{network.start}/{labels}/{seed}",
                title=f"{PROTOCOLS[network.protocol]} {with_labels(labels)}, seed {seed}",
                seconds=times * (once + (choosing if scope.parts or seed == scope.settings.seeds[0] else 0.0)),
                predict=partial(_train, network, on, labels, seed, store, scope.parts.get(seed, [])),
                trains=True,
            )


def _self_training_jobs(
    subject: Subject, scope: Scope, cache: FeatureCache, store: PredictionStore, speed: Speed
) -> Iterator[Job]:
    protocol = SelfTrainingProtocol(
        subject=subject,
        images=scope.images,
        rows=scope.rows,
        features=partial(cache.get, subject.name),
        steps=scope.settings.self_train_steps,
    )

    def on(part: Part) -> SelfTrainingProtocol:
        return replace(protocol, rows=part.rows, features=lambda: part.of(protocol.features()))

    embedding_s = speed.embedding_s(len(scope.rows.train) + len(scope.rows.test))
    times = FOLDS if scope.parts else 1
    for labels in scope.network_budgets:
        trainings = trainings_to_choose(label_count(scope.fitted, labels), len(scope.rows.classes))
        once = _self_training_s(protocol.steps, speed) if trainings else 0.0
        trial = trainings * once * trial_steps(protocol.steps) / protocol.steps
        for seed in scope.settings.seeds:
            choosing = trial if scope.parts or seed == scope.settings.seeds[0] else 0.0
            yield Job(
                name=f"{SELF_TRAINING}/{labels}/{seed}",
                title=f"{PROTOCOLS[SELF_TRAINING]} {with_labels(labels)}, seed {seed}",
                seconds=times * (once + choosing) + embedding_s + speed.embedding_s(len(scope.rows.test)),
                predict=partial(_train, protocol, on, labels, seed, store, scope.parts.get(seed, [])),
                trains=True,
            )
            embedding_s = 0.0  # for all of them, by the first


def _self_training_s(steps: int, speed: Speed) -> float:
    """The teacher's answers, and the student's steps on those that it is sure of, here half of them."""
    answering_s = speed.training_s(steps, UNLABELLED, frozen=True)
    return answering_s + speed.training_s(steps, LABELLED + UNLABELLED // 2, frozen=False)


def _network_s(network: NetworkProtocol, labels: Labels, count: int, speed: Speed) -> tuple[float, float]:
    """Seconds for one network at its longest, and for the choice of how it is trained."""

    def training_s(images: int, epochs: float | None = None) -> float:
        schedule = network.schedule(Training(base_lr=1.0, epochs=epochs), max(images, 1))
        return speed.training_s(schedule.steps, schedule.batch_size, frozen=network.protocol == "sgd")

    kept = round(0.8 * min(count, MOST_TO_CHOOSE_ON))
    few = isinstance(labels, int) and labels < FOLDS  # nothing can be held out
    if not network.is_tuned:
        rates = len(network.settings.rates)
        return training_s(count), rates * training_s(kept) if rates > 1 and not few else 0.0
    if network.protocol == "finetune":
        trials = QUICK * (len(STATISTICS) * MOST_VALUES + 1) + len(STATISTICS) + folds_needed(count) - 1
        return (0.0, 0.0) if few else (training_s(count), trials * training_s(kept))
    if few:
        return training_s(count), 0.0
    lengths = network.lengths(count)
    values = 2 * MOST_VALUES - 1  # of rate and weight decay
    return training_s(count, lengths[-1]), values * training_s(kept, lengths[0]) + sum(
        training_s(kept, epochs) for epochs in lengths[1:]
    )


def _train(
    protocol: NetworkProtocol | SelfTrainingProtocol,
    on: Callable[[Part], NetworkProtocol | SelfTrainingProtocol],
    labels: Labels,
    seed: int,
    store: PredictionStore,
    parts: Sequence[Part],
) -> list[Predictions]:
    """By the `protocol`; cross-validated, by what it is `on` each part, where it makes its choices anew."""
    if not parts:
        return [protocol.predict(labels, seed, store)]
    name = protocol.protocol if isinstance(protocol, NetworkProtocol) else SELF_TRAINING

    def fit(part: Part) -> Predictions:
        kept = store.within(f"without {part.cut.tolist()}")
        return kept.predictions(f"{name}/{labels}/{seed}", lambda: [on(part).predict(labels, seed, kept)])[0]

    return [out_of_fold(parts, fit)]


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
