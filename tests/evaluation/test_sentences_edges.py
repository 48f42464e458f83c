"""A choice at an end of what was tried is said, for every grid."""

import dataclasses

import numpy as np
import pytest

from twofold.evaluation.linear_probe import FEW_L2_GRID, FEW_SHOT_L2, L2_GRID
from twofold.evaluation.predictions import Predictions
from twofold.evaluation.schedules import TRAINING_SETTINGS, Training
from twofold.evaluation.sentences import edge_sentences

START = "at the edge of what was tried: "


def said_of(*predictions: Predictions) -> list[str]:
    return edge_sentences(predictions, L2_GRID)


def probe(l2: float, *, encoder: str = "pixels", labels: int | str = "all", seed: int = 0) -> Predictions:
    return _of(protocol="linear", encoder=encoder, labels=labels, seed=seed, l2=l2)


def network(training: Training | None = None, *, protocol: str = "finetune", base_lr: float = 0.02) -> Predictions:
    plain = None if training is None else dataclasses.asdict(training)
    return _of(protocol=protocol, labels=10, base_lr=base_lr, training=plain)


def _of(**values) -> Predictions:
    known = {"encoder": "trained", "seed": 0, "ranked": np.zeros((1, 1), np.int64), "confidence": np.ones(1, "f4")}
    return Predictions(**(known | values))


@pytest.mark.parametrize("end", [L2_GRID[0], L2_GRID[-1]])
def test_a_weight_decay_at_an_end_is_said_with_its_draws(end):
    assert said_of(probe(end), probe(end, seed=1), probe(L2_GRID[4], seed=2)) == [
        f"{START}linear probe on raw pixels with all labels, weight decay {end:g} in 2 of 3 draws"
    ]


@pytest.mark.parametrize("end", [FEW_L2_GRID[0], FEW_L2_GRID[-1]])
def test_few_labels_have_a_grid_of_their_own(end):
    assert said_of(probe(end)) == []
    assert said_of(probe(end, labels=5, encoder="trained")) == [
        f"{START}linear probe on the trained encoder with 5 labels per class, weight decay {end:g} in 1 of 1 draw"
    ]
    assert said_of(probe(FEW_SHOT_L2, labels=1)) == [], "it was given, not chosen"


@pytest.mark.parametrize("l2", L2_GRID[1:-1])
def test_a_choice_within_the_grid_says_nothing(l2):
    assert said_of(probe(l2)) == []


@pytest.mark.parametrize("edges", [("learning rate",), ("weight decay",), ("length",), ("learning rate", "length")])
def test_what_was_chosen_of_networks_is_said_once_for_a_budget(edges):
    one = network(Training(base_lr=0.02, edges=edges))
    assert said_of(one, one, network(Training(base_lr=0.02), protocol="supervised")) == [
        f"{START}fine-tuning with 10 labels per class, {' and '.join(edges)}"
    ]


@pytest.mark.parametrize("protocol", ["finetune", "supervised"])
def test_the_rate_of_the_papers_schedule_is_at_an_edge_or_not(protocol):
    middle, low, high = TRAINING_SETTINGS[protocol].rates
    assert said_of(network(protocol=protocol, base_lr=middle)) == []
    for end in (low, high):
        (sentence,) = said_of(network(protocol=protocol, base_lr=end))
        assert sentence.endswith("with 10 labels per class, learning rate")


def test_what_is_not_chosen_has_no_edge():
    assert said_of(network(protocol="sgd", base_lr=TRAINING_SETTINGS["sgd"].rates[0])) == []
    assert said_of(_of(protocol="self-train", labels=10, base_lr=0.06, training={"rate": 0.06})) == []
