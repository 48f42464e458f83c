"""Paired differences between two ways of measuring: the same seeds, the same labelled pictures, the same test split."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twofold.evaluation.attempt import Labels
from twofold.evaluation.budgets import budget_name
from twofold.evaluation.metrics import signed_interval
from twofold.evaluation.scoring import Score
from twofold.evaluation.table import PROTOCOLS

Way = tuple[str, str]  # protocol, encoder
PAIRS: tuple[tuple[Way, Way], ...] = (
    (("linear", "trained"), ("linear", "untrained")),
    (("linear", "trained"), ("linear", "pixels")),
    (("finetune", "trained"), ("supervised", "untrained")),
    (("linear", "trained"), ("supervised", "untrained")),
    (("finetune", "trained"), ("linear", "trained")),
    (("sgd", "trained"), ("linear", "trained")),
)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Top-1 of one way minus that of another, as a fraction in [-1, 1], with its 95 % interval.

    `over` says what the interval is over: "seeds" (Student's t over the draws that both share), or "pictures" (the
    test pictures, normal approximation) where there is no draw but that of a selection split.
    """

    protocol: str
    encoder: str
    against_protocol: str
    against_encoder: str
    labels: Labels
    mean: float
    low: float | None
    high: float | None
    seeds: int
    over: str
    metric: str = "top1"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)


def compare(
    scores: Sequence[Score], budgets: Sequence[Labels], pairs: Sequence[tuple[Way, Way]] = PAIRS
) -> list[Difference]:
    """The differences of `pairs`, and of h against each layer of the head, at every budget where both were measured."""
    by_way: dict[tuple[str, str, Labels], list[Score]] = {}
    for score in scores:
        by_way.setdefault(score.way, []).append(score)
    layers = sorted({encoder for _, encoder, _ in by_way if encoder == "z" or encoder.startswith("head-")})
    wanted = [*pairs, *(((("linear", "trained"), ("linear", layer))) for layer in layers)]
    return [
        difference(by_way[(*first, labels)], by_way[(*second, labels)])
        for first, second in wanted
        for labels in budgets
        if (*first, labels) in by_way and (*second, labels) in by_way
    ]


def difference(first: Sequence[Score], second: Sequence[Score]) -> Difference:
    """`first` minus `second` over the seeds that both have.

    Differences on the same untrained weights are averaged first. With all labels two probes on fixed features differ
    only by which test pictures there are, so the interval is over these: mean ± 1.96 std / sqrt(m) of the difference
    in being right.
    """
    ours, theirs = ({score.seed: score for score in scores} for scores in (first, second))
    seeds = sorted(ours.keys() & theirs.keys())
    draws: dict[tuple[str, int], list[float]] = {}
    for seed in seeds:
        draw = max(ours[seed].draw, theirs[seed].draw)  # "weights" comes after "seed"
        draws.setdefault(draw, []).append(ours[seed].values["top1"] - theirs[seed].values["top1"])
    fixed = first[0].labels == "all" and first[0].protocol == second[0].protocol == "linear"
    if fixed:
        gains = np.mean([ours[seed].right.astype(float) - theirs[seed].right for seed in seeds], axis=0)
        mean, half = float(gains.mean()), 1.96 * float(gains.std()) / math.sqrt(len(gains))
        low: float | None = mean - half
        high: float | None = mean + half
    else:
        mean, low, high = signed_interval([float(np.mean(values)) for values in draws.values()])
    return Difference(
        protocol=first[0].protocol,
        encoder=first[0].encoder,
        against_protocol=second[0].protocol,
        against_encoder=second[0].encoder,
        labels=first[0].labels,
        mean=mean,
        low=low,
        high=high,
        seeds=len(draws),
        over="pictures" if fixed else "seeds",
    )


def difference_sentence(found: Difference) -> str:
    """In words: "fine-tuned (trained) beats from scratch (untrained) with 1 % of the labels by 12.3 points (...)"."""
    first, second = _way(found.protocol, found.encoder), _way(found.against_protocol, found.against_encoder)
    where = f"with {budget_name(found.labels)}"
    points = 100 * found.mean
    if found.low is None or found.high is None:
        return f"{first} minus {second} {where}: {points:+.1f} points (one seed, no interval)"
    over = f"{found.seeds} seeds" if found.over == "seeds" else "over the test pictures"
    bounds = f"{100 * found.low:+.1f} to {100 * found.high:+.1f}, {over}"
    if found.low > 0:
        return f"{first} beats {second} {where} by {points:.1f} points ({bounds})"
    if found.high < 0:
        return f"{first} is behind {second} {where} by {-points:.1f} points ({bounds})"
    return f"{first} and {second} {where}: no clear difference, {points:+.1f} points ({bounds})"


def _way(protocol: str, encoder: str) -> str:
    return f"{PROTOCOLS[protocol]} ({'h' if encoder == 'trained' else encoder})"
