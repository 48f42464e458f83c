"""Differences in words: the winner first, and no winner where the interval leaves it open."""

import pytest

from report.conftest import difference
from twofold.report.compare import is_about_head, sentence
from twofold.report.content import Difference

HEAD = {"protocol": "linear", "against_protocol": "linear", "against_encoder": "z", "labels": "all"}


def said(mean: float, low: float | None, high: float | None, **changes: object) -> str:
    return sentence(Difference(**difference(mean, low, high, **changes)))


def test_a_win_a_loss_and_an_undecided_difference() -> None:
    assert said(0.123, 0.11, 0.136) == (
        "Fine-tuning beats supervised from scratch at 1 % of the labels by 12.3 points (11.0 to 13.6, 5 seeds)."
    )
    assert said(-0.123, -0.136, -0.11) == (
        "Supervised from scratch beats fine-tuning at 1 % of the labels by 12.3 points (11.0 to 13.6, 5 seeds)."
    )
    assert said(0.003, -0.004, 0.0101) == (
        "No clear difference between fine-tuning and supervised from scratch at 1 % of the labels: "
        "+0.3 points (\u22120.4 to +1.0, 5 seeds)."
    )


@pytest.mark.parametrize(
    ("low", "high", "decided"),
    [(0.0, 0.02, False), (-0.001, 0.02, False), (0.001, 0.02, True), (-0.02, 0.0, False), (-0.02, -0.001, True)],
)
def test_an_interval_that_contains_zero_decides_nothing(low: float, high: float, decided: bool) -> None:
    assert ("beats" in said((low + high) / 2, low, high)) == decided
    assert ("No clear difference" in said((low + high) / 2, low, high)) != decided


def test_an_interval_over_the_test_pictures_is_not_said_to_be_over_seeds() -> None:
    assert said(0.04, 0.03, 0.05, over="pictures").endswith("(3.0 to 5.0, over the test pictures).")
    assert said(0.04, -0.03, 0.11, over="pictures").endswith("(\u22123.0 to +11.0, over the test pictures).")


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
        "h beats z under the linear probe with all labels by 4.0 points (3.0 to 5.0, 5 seeds)."
    )
    assert said(-0.04, -0.05, -0.03, **HEAD).startswith("z beats h under the linear probe")
    assert said(0.001, -0.05, 0.06, **HEAD).startswith("No clear difference between h and z under the linear probe")
    assert is_about_head(Difference(**difference(0.0, 0.0, 0.0, **HEAD)))
    assert is_about_head(Difference(**difference(0.0, 0.0, 0.0, **HEAD | {"against_encoder": "head-12"})))
    assert not is_about_head(Difference(**difference(0.0, 0.0, 0.0)))


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
            {"data": "/pictures/flowers", "labels": "all"},
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
