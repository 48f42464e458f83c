"""The measurements of an evaluation as units of work, each with a name to keep it under and a guess of its time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from twofold.evaluation.attempt import Attempt, Labels
from twofold.evaluation.budgets import budget_name, labels_per_class
from twofold.evaluation.ledger import Ledger
from twofold.evaluation.probing import Draw, knn_attempts, linear_attempts
from twofold.evaluation.rates import Rates
from twofold.evaluation.scope import Scope
from twofold.evaluation.selection import FEW_L2_GRID, FOLDS
from twofold.evaluation.subject import Shelf, Subject, head_layers
from twofold.evaluation.training import Trainer
from twofold.evaluation.tuning import MANNERS, MOST_TO_CHOOSE_ON, make_schedule


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A piece of work that is done as a whole or, after an interruption, again."""

    name: str
    title: str
    seconds: float
    make: Callable[[], list[Attempt]]


def plan_units(subject: Subject, scope: Scope, ledger: Ledger, rates: Rates) -> list[Unit]:
    """Probes on the features of every encoder, then networks, from few labels to many."""
    shelf = Shelf(subject, scope.images, scope.labelled)
    units = list(_probe_units(subject, scope, shelf, rates))
    for protocol in scope.settings.trained:
        trainer = Trainer(
            protocol=protocol,
            subject=subject,
            images=scope.images,
            labelled=scope.labelled,
            start=scope.settings.start if protocol == "finetune" else "h",
            epochs=scope.settings.epochs,
        )
        units += _network_units(trainer, scope, ledger, rates)
    return units


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


def _probe_units(subject: Subject, scope: Scope, shelf: Shelf, rates: Rates) -> Iterator[Unit]:
    for encoder, weights in _sources(subject, scope) if scope.settings.probes else ():
        inner = encoder in head_layers(subject.head)
        title = encoder if weights is None else f"{encoder}, weights of seed {weights}"
        for protocol in scope.settings.probes:
            if protocol == "knn" and not inner:
                draws = [*_whole(scope, weights, first=weights is None), *_few(scope, weights)]
                make = partial(_knn, shelf, scope, encoder, weights, draws)
                seconds = rates.embedding_s * (encoder != "pixels") + len(draws) * rates.knn_s
                yield Unit(name=f"{encoder}/{weights}/knn", title=f"{title}: k-NN", seconds=seconds, make=make)
            elif protocol == "linear":
                for labels in scope.budgets:
                    draws = _whole(scope, weights) if labels == "all" else _few(scope, weights, labels)
                    if not draws:  # fewer draws of labels than sets of untrained weights
                        continue
                    make = partial(_linear, shelf, scope, encoder, weights, draws)
                    count = labels_per_class(scope.labelled, labels) * len(scope.labelled.classes)
                    yield Unit(
                        name=f"{encoder}/{weights}/linear/{labels}",
                        title=f"{title}: linear probe, {budget_name(labels)}",
                        seconds=rates.linear_s(encoder, count, len(draws) * _fits(scope, labels)),
                        make=make,
                    )


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


def _knn(shelf: Shelf, scope: Scope, encoder: str, weights: int | None, draws: list[Draw]) -> list[Attempt]:
    features = shelf.get(encoder, weights)
    return knn_attempts(features, scope.labelled, draws, encoder=encoder, weights=weights)


def _linear(shelf: Shelf, scope: Scope, encoder: str, weights: int | None, draws: list[Draw]) -> list[Attempt]:
    return linear_attempts(
        shelf.get(encoder, weights),
        scope.labelled,
        draws,
        encoder=encoder,
        weights=weights,
        folds=scope.folds,
        grid=scope.settings.grid,
    )


def _network_units(trainer: Trainer, scope: Scope, ledger: Ledger, rates: Rates) -> Iterator[Unit]:
    manner = MANNERS[trainer.protocol]
    for labels in scope.network_budgets:
        count = round(labels_per_class(scope.labelled, labels) * len(scope.labelled.classes))
        once = _seconds(trainer, count, scope, rates) + rates.test_s
        choosing = 0.0
        if len(manner.rates) > 1:
            kept = min(round(0.8 * count), MOST_TO_CHOOSE_ON)
            choosing = len(manner.rates) * _seconds(trainer, max(kept, 1), scope, rates)
        for seed in scope.settings.seeds:
            yield Unit(
                name=f"{trainer.protocol}/{trainer.start}/{labels}/{seed}",
                title=f"{_TITLES[trainer.protocol]}, {budget_name(labels)}, seed {seed}",
                seconds=once + (choosing if seed == scope.settings.seeds[0] else 0.0),
                make=partial(_train, trainer, labels, seed, ledger),
            )


def _seconds(trainer: Trainer, count: int, scope: Scope, rates: Rates) -> float:
    schedule = make_schedule(
        MANNERS[trainer.protocol], 1.0, labels=count, train=len(scope.labelled.train), epochs=trainer.epochs
    )
    return rates.training_s(schedule, trainer.protocol)


def _train(trainer: Trainer, labels: Labels, seed: int, ledger: Ledger) -> list[Attempt]:
    return [trainer.attempt(labels, seed, ledger)]


_TITLES = {"finetune": "fine-tuning", "supervised": "from scratch", "sgd": "linear by SGD"}
