"""Choices that fell on an end of what was tried: better may lie further out."""

from collections.abc import Iterator, Sequence

from twofold.evaluation.labels import Labels
from twofold.evaluation.linear_probe import FEW_L2_GRID
from twofold.evaluation.predictions import Predictions
from twofold.evaluation.protocols import ENCODERS, PROTOCOLS, encoder_name, with_labels
from twofold.evaluation.schedules import TRAINING_SETTINGS


def edge_sentences(predictions: Sequence[Predictions], grid: Sequence[float]) -> list[str]:
    """One for the linear probes and one for the networks with such a choice; none where there was none.

    `grid` has the strengths of weight decay that linear probes with all labels chose among. Cross-validated, a draw's
    decay is the middle one of its folds, and how networks are trained that of the first fold.
    """
    kinds = (list(_of_probes(predictions, grid)), list(_of_networks(predictions)))
    return [f"at the edge of what was tried: {'; '.join(kind)}" for kind in kinds if kind]


def _of_probes(predictions: Sequence[Predictions], grid: Sequence[float]) -> Iterator[str]:
    drawn: dict[tuple[str, Labels], list[float]] = {}
    for one in predictions:
        if one.protocol == "linear" and one.l2 is not None:
            drawn.setdefault((one.encoder, one.labels), []).append(one.l2)
    for (encoder, labels), chosen in drawn.items():
        tried = grid if labels == "all" else FEW_L2_GRID
        for end in (max(tried), min(tried)) if len(tried) > 1 else ():
            if count := chosen.count(end):
                where = f"{PROTOCOLS['linear']} on {encoder_name(encoder)} {with_labels(labels)}"
                yield f"{where}, weight decay {end:g} in {count} of {len(chosen)} {_draws(len(chosen))}"


def _of_networks(predictions: Sequence[Predictions]) -> Iterator[str]:
    """Each protocol and budget once: its choices are those of all seeds."""
    chosen = {
        (one.protocol, one.encoder, one.labels): one
        for one in predictions
        if one.base_lr is not None and one.protocol in TRAINING_SETTINGS
    }
    for (protocol, encoder, labels), one in chosen.items():
        rates = TRAINING_SETTINGS[protocol].rates
        if one.training is not None:
            edges = list(one.training["edges"])
        else:  # the paper's schedule: the rate alone is chosen
            edges = ["learning rate"] if len(rates) > 1 and one.base_lr in (min(rates), max(rates)) else []
        if edges:
            who = PROTOCOLS[protocol] if encoder in ENCODERS else f"{PROTOCOLS[protocol]} of {encoder}"
            yield f"{who} {with_labels(labels)}, {' and '.join(edges)}"


def _draws(count: int) -> str:
    return "draw" if count == 1 else "draws"
