"""Predictions come back from their file as they were, and any reader of parquet understands it."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from twofold.errors import TwofoldError
from twofold.evaluation import KeptPredictions, write_predictions
from twofold.evaluation.prediction_file import as_labels
from twofold.evaluation.predictions import Predictions
from twofold.evaluation.scores import score

CLASSES = ["ant", "bee", "cat"]
TRUTH = np.array([0, 1, 2, 1, 0])
PATHS = [f"test/{number}.png" for number in range(5)]


def predictions(labels: int | float | str, seed: int, *, weights: int | None = None) -> Predictions:
    rng = np.random.default_rng(seed)
    ranked = np.stack([rng.permutation(3) for _ in TRUTH]).astype(np.int64)
    confidence = rng.random(5).astype(np.float32)
    encoder = "trained" if weights is None else "untrained"
    return Predictions(
        protocol="linear",
        encoder=encoder,
        labels=labels,
        seed=seed,
        ranked=ranked,
        confidence=confidence,
        weights=weights,
    )


ALL = [
    predictions("all", 0),
    predictions(10, 1),
    predictions(10, 2),
    predictions(0.1, 3),
    predictions(10, 1, weights=4),
]


def write(file: Path, groups: np.ndarray | None = None) -> Path:
    write_predictions(file, ALL, paths=PATHS, truth=TRUTH, classes=CLASSES, groups=groups)
    return file


def test_scores_are_those_of_the_predictions(tmp_path: Path) -> None:
    kept = KeptPredictions(write(tmp_path / "predictions.parquet"))
    assert kept.paths == PATHS
    assert kept.truth.tolist() == [CLASSES[number] for number in TRUTH]
    assert kept.groups is None
    for own, expected in zip(kept.scores, score(ALL, TRUTH, 3), strict=True):
        assert (own.way, own.unit, own.is_drawn) == (expected.way, expected.unit, expected.is_drawn)
        assert own.hits["top1"].tolist() == expected.hits["top1"].tolist()


def test_a_row_says_everything_about_one_image(tmp_path: Path) -> None:
    rows = pq.read_table(write(tmp_path / "predictions.parquet", np.array([7, 7, 8, 9, 9]))).to_pylist()
    assert len(rows) == len(ALL) * len(PATHS)
    last = ALL[-1]
    assert rows[-1] == {
        "path": "test/4.png",
        "label": "ant",
        "split": "test",
        "group": 9,
        "predicted": CLASSES[last.predicted[4]],
        "probability": pytest.approx(float(last.confidence[4])),
        "protocol": "linear",
        "encoder": "untrained",
        "labels": "10",
        "seed": 1,
        "weights": 4,
    }


def test_groups_come_back(tmp_path: Path) -> None:
    kept = KeptPredictions(write(tmp_path / "predictions.parquet", np.array([7, 7, 8, 9, 9])))
    assert kept.groups is not None
    assert kept.groups.tolist() == [7, 7, 8, 9, 9]


@pytest.mark.parametrize("labels", ["all", 1, 50, 0.1, 0.01, 0.00001])
def test_numbers_of_labels_survive_as_text(labels: int | float | str) -> None:
    assert (as_labels(str(labels)), type(as_labels(str(labels)))) == (labels, type(labels))


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "predictions.parquet").write_bytes(b"no parquet")
    with pytest.raises(TwofoldError, match=r"predictions\.parquet' cannot be read as predictions .*'twofold evaluate'"):
        KeptPredictions(tmp_path / "predictions.parquet")


def test_a_file_that_lost_rows_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "predictions.parquet")
    pq.write_table(pq.read_table(file).slice(0, len(ALL) * len(PATHS) - 2), file)
    with pytest.raises(TwofoldError, match="cannot be read as predictions"):
        KeptPredictions(file)
