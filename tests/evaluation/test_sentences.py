"""Differences in words: the winner first, and no winner where the interval leaves it open."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from twofold.evaluation.intervals import chance_sentences
from twofold.evaluation.network_sentences import training_sentences
from twofold.evaluation.predictions import Predictions
from twofold.evaluation.schedules import Training
from twofold.evaluation.scores import Difference
from twofold.evaluation.sentences import difference_sentence, is_about_head
from twofold.evaluation.tuning import NO_STEP

HEAD = {"protocol": "linear", "against_protocol": "linear", "against_encoder": "z", "labels": "all"}


def difference(mean: float, low: float | None, high: float | None, **changes: Any) -> Difference:
    values: dict[str, Any] = {
        "protocol": "finetune",
        "encoder": "trained",
        "against_protocol": "supervised",
        "against_encoder": "untrained",
        "labels": 0.01,
        "seeds": 5,
        "over": "images and draws",
    }
    return Difference(mean=mean, low=low, high=high, **values | changes)


def said(mean: float, low: float | None, high: float | None, data: str = "", **changes: Any) -> str:
    return difference_sentence(difference(mean, low, high, **changes), data)


def test_a_win_a_loss_and_an_undecided_difference() -> None:
    assert said(0.123, 0.11, 0.136) == (
        "Fine-tuning beats supervised from scratch at 1 % of the labels by 12.3 points "
        "(11.0 to 13.6, over 5 seeds and the test images)."
    )
    assert said(-0.123, -0.136, -0.11) == (
        "Supervised from scratch beats fine-tuning at 1 % of the labels by 12.3 points "
        "(11.0 to 13.6, over 5 seeds and the test images)."
    )
    assert said(0.003, -0.004, 0.0101) == (
        "No clear difference between fine-tuning and supervised from scratch at 1 % of the labels: "
        "+0.3 points (\u22120.4 to +1.0, over 5 seeds and the test images)."
    )


def test_what_would_be_written_as_nothing_is_no_difference_with_its_bound() -> None:
    same = {"protocol": "finetune", "against_protocol": "linear", "against_encoder": "trained"}
    assert said(0.0, -0.0002, 0.0002, **same).startswith("No difference between fine-tuning and the linear probe")
    assert "less than 0.05 points either way" in said(0.0, -0.0002, 0.0002, **same)
    assert said(0.0, -0.0006, 0.0002, **same).startswith("No clear difference")


def test_raw_pixels_are_several() -> None:
    same = {"protocol": "linear", "against_protocol": "linear", "against_encoder": "pixels"}
    assert said(-0.123, -0.136, -0.11, **same).startswith("Raw pixels beat the trained encoder under the linear probe")
    assert said(0.123, 0.11, 0.136, **same).startswith("The trained encoder beats raw pixels under the linear probe")


@pytest.mark.parametrize(
    ("low", "high", "decided"),
    [(0.0, 0.02, False), (-0.001, 0.02, False), (0.001, 0.02, True), (-0.02, 0.0, False), (-0.02, -0.001, True)],
)
def test_an_interval_that_contains_zero_decides_nothing(low: float, high: float, decided: bool) -> None:
    assert ("beats" in said((low + high) / 2, low, high)) == decided
    assert ("No clear difference" in said((low + high) / 2, low, high)) != decided


def test_an_interval_over_the_test_images_is_not_said_to_be_over_seeds() -> None:
    assert said(0.04, 0.03, 0.05, over="images").endswith("(3.0 to 5.0, over the test images).")
    assert said(0.04, -0.03, 0.11, over="images").endswith("(\u22123.0 to +11.0, over the test images).")


def test_older_files_say_what_their_intervals_leave_out() -> None:
    assert said(0.04, 0.03, 0.05, over="seeds").endswith("(3.0 to 5.0, over 5 seeds alone).")
    assert said(0.04, 0.03, 0.05, over="pictures").endswith("(3.0 to 5.0, over the test images).")


def test_a_metric_other_than_top1_is_named_without_a_comma_too_many() -> None:
    way = "fine-tuning and supervised from scratch at 1 % of the labels, in mean accuracy per class"
    assert said(0.003, -0.004, 0.01, metric="mean_per_class").startswith(f"No clear difference between {way}: +0.3")
    text = said(0.3, None, None, metric="mean_per_class", seeds=1)
    assert text.endswith("at 1 % of the labels, in mean accuracy per class, on one draw: no interval.")


@pytest.mark.parametrize("mean", [0.3, -0.3])
def test_one_seed_wins_nothing(mean: float) -> None:
    text = said(mean, None, None, seeds=1)
    assert "beats" not in text
    assert text.startswith(f"Fine-tuning is 30.0 points {'above' if mean > 0 else 'below'} supervised from scratch")
    assert text.endswith("on one draw: no interval.")


def test_a_lower_calibration_error_is_the_better_one() -> None:
    assert said(-0.05, -0.06, -0.04, metric="ece").startswith("Fine-tuning beats supervised from scratch")
    assert said(0.05, 0.04, 0.06, metric="ece").startswith("Supervised from scratch beats fine-tuning")


def test_h_against_z() -> None:
    assert said(0.04, 0.03, 0.05, **HEAD) == (
        "h beats z under the linear probe with all labels by 4.0 points (3.0 to 5.0, over 5 seeds and the test images)."
    )
    assert said(-0.04, -0.05, -0.03, **HEAD).startswith("z beats h under the linear probe")
    assert said(0.001, -0.05, 0.06, **HEAD).startswith("No clear difference between h and z under the linear probe")
    assert is_about_head(difference(0.0, 0.0, 0.0, **HEAD))
    assert is_about_head(difference(0.0, 0.0, 0.0, **HEAD | {"against_encoder": "head-12"}))
    assert not is_about_head(difference(0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        (
            {"protocol": "linear", "against_protocol": "linear", "against_encoder": "pixels", "labels": 10},
            "The trained encoder beats raw pixels under the linear probe with 10 labels per class by",
        ),
        (
            {"against_protocol": "linear", "against_encoder": "trained"},
            "Fine-tuning beats the linear probe at 1 % of the labels by",
        ),
        (
            {"protocol": "knn", "against_protocol": "linear", "against_encoder": "pixels", "labels": "all"},
            "k-NN on the trained encoder beats the linear probe on raw pixels with all labels by",
        ),
        (
            {"encoder": "runs/other", "against_protocol": "finetune", "against_encoder": "trained", "labels": "all"},
            "runs/other beats the trained encoder after fine-tuning with all labels by",
        ),
        (
            {"data": "flowers", "labels": "all"},
            "Fine-tuning beats supervised from scratch on flowers by",
        ),
        (
            {"metric": "mean_per_class"},
            "Fine-tuning beats supervised from scratch at 1 % of the labels, in mean accuracy per class, by",
        ),
    ],
)
def test_contenders_have_names(changes: dict[str, object], start: str) -> None:
    assert said(0.1, 0.05, 0.15, **changes).startswith(start)


def test_the_number_of_labels_is_said() -> None:
    assert " with 1 label per class by " in said(0.123, 0.1, 0.15, labels=1)
    assert " with all labels: \u22120.4 points (\u22122.0 to +1.2, over the test images)." in said(
        -0.004, -0.02, 0.012, labels="all", over="images"
    )
    assert said(0.0, 0.0, 0.0).endswith(": less than 0.05 points either way, over 5 seeds and the test images.")


def _trained(protocol, labels, training, encoder="trained"):
    return Predictions(
        protocol=protocol,
        encoder=encoder,
        labels=labels,
        seed=0,
        ranked=np.zeros((1, 1), np.int64),
        confidence=np.ones(1, np.float32),
        training=None if training is None else dataclasses.asdict(training),
    )


def test_how_networks_were_trained_is_said_once_for_a_budget():
    tuned = Training(base_lr=0.06, statistics="pretrained", layer_decay=0.65, taken=0.5)
    scratch = Training(base_lr=0.1, weight_decay=5e-4, epochs=300.0, edges=("length",))
    predictions = [
        _trained("finetune", 0.01, tuned),
        _trained("finetune", 0.01, tuned),  # another seed
        _trained("finetune", 1, NO_STEP),
        _trained("supervised", 10, scratch, encoder="untrained"),
        _trained("sgd", "all", None),
        _trained("finetune", "all", Training(base_lr=0.02, edges=("learning rate", "length")), encoder="runs/other"),
    ]
    assert training_sentences(predictions) == [
        "fine-tuning at 1 % of the labels: learning rate 0.06 at batch 256, batch statistics as pretrained, each "
        "layer's rate 0.65 of the next one's, 50 % of the steps",
        "fine-tuning with 1 label per class: no step, the linear probe as it is",
        "supervised from scratch with 10 labels per class: learning rate 0.1 at batch 256, weight decay 0.0005, "
        "300 epochs",
        "fine-tuning of runs/other with all labels: learning rate 0.02 at batch 256, batch statistics of each batch, "
        "100 % of the steps",
    ]


@pytest.mark.parametrize(("count", "about"), [(27, "1"), (60, "3"), (4, "0.2")])
def test_how_many_would_be_clear_by_chance_is_said(count: int, about: str) -> None:
    (sentence,) = chance_sentences(count)
    assert sentence == f"Of {count} comparisons at 95 %, about {about} would look clear by chance alone."


@pytest.mark.parametrize("count", [0, 1])
def test_one_comparison_alone_is_not_counted(count: int) -> None:
    assert chance_sentences(count) == []
