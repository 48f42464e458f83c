"""Names that people read: one for each protocol, encoder and budget of labels."""

import pytest

from twofold.evaluation.protocols import (
    PROTOCOLS,
    TRAINED,
    capital,
    classifier_name,
    encoder_name,
    labels_name,
    layer_name,
    way_name,
    with_labels,
)
from twofold.evaluation.schedules import TRAINING_SETTINGS


def test_budgets_have_names():
    assert [with_labels(labels) for labels in (1, 5, 1000, 0.01, 0.125, "all")] == [
        "with 1 label per class",
        "with 5 labels per class",
        "with 1,000 labels per class",
        "at 1 % of the labels",
        "at 12.5 % of the labels",
        "with all labels",
    ]
    assert labels_name(10, 8.3) == "up to 10 per class"
    assert labels_name(10, 10.0) == labels_name(10) == "10 per class"
    assert [labels_name(labels) for labels in (1, 1000, 0.01, "all")] == [
        "1 per class",
        "1,000 per class",
        "1 %",
        "all",
    ]


@pytest.mark.parametrize(
    ("encoder", "name"),
    [
        ("trained", "the trained encoder"),
        ("untrained", "the untrained encoder"),
        ("pixels", "raw pixels"),
        ("head-12", "layer 12 of the head"),
        ("z", "z"),
        ("runs/head-1", "runs/head-1"),
    ],
)
def test_encoders_have_names_and_others_keep_theirs(encoder, name):
    assert encoder_name(encoder) == name
    assert (layer_name(encoder) is not None) == (encoder in ("head-12", "z"))


def test_a_way_names_its_encoder_where_that_does_not_go_without_saying():
    assert way_name("linear", "pixels") == "Linear probe, raw pixels"
    assert way_name("finetune", "trained") == "Fine-tuning"
    assert way_name("finetune", "runs/other") == "Fine-tuning, runs/other"
    assert way_name("supervised", "untrained") == "Supervised from scratch"
    assert way_name("knn", "trained") == "k-NN, trained encoder"
    assert classifier_name("sgd", "all") == "the linear probe by SGD with all labels"


def test_words_of_ours_get_a_capital_and_names_do_not():
    texts = (
        "the trained encoder",
        "fine-tuning",
        "raw pixels beat",
        "layer 1 of the head",
        "k-NN",
        "h beats",
        "runs/a",
    )
    assert [capital(text)[0] for text in texts] == ["T", "F", "R", "L", "k", "h", "r"]


def test_each_protocol_that_trains_has_settings_and_a_name():
    assert set(TRAINED) - {"self-train"} == set(TRAINING_SETTINGS)  # which has settings of its own
    assert set(TRAINED) < set(PROTOCOLS)
