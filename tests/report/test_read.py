"""A run directory is read as it lies there, also after a kill."""

import json
from pathlib import Path

import numpy as np
import pytest

from report.conftest import HOSTILE, ROWS, write_evaluation_pictures
from twofold.errors import TwofoldError
from twofold.report.content import Transfer
from twofold.report.read import read_run


def test_rows_are_sorted_into_training_and_health(run: Path) -> None:
    content = read_run(run)
    assert len(content.training) == 60
    assert [row["step"] for row in content.health] == [0, 20, 40, 60]
    assert [
        (row.protocol, row.encoder, row.labels, row.mean, row.low, row.high) for row in content.measurements
    ] == ROWS


def test_a_line_that_was_cut_off_is_skipped(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 61, "lo')
    assert len(read_run(run).training) == 60


def test_numbers_that_are_none_become_none(run: Path) -> None:
    (run / "metrics.jsonl").write_text('{"step": 1, "epoch": 1.0, "loss": NaN, "lr": Infinity}\n')
    assert read_run(run).training == [{"step": 1, "epoch": 1.0, "loss": None, "lr": None}]


def test_seeds_may_be_a_count_or_a_list(run: Path) -> None:
    rows = json.loads((run / "evaluation.json").read_text())
    rows[0]["seeds"] = [4, 5, 6]
    (run / "evaluation.json").write_text(json.dumps(rows))
    assert [row.seeds for row in read_run(run).measurements[:2]] == [3, 5]


@pytest.mark.parametrize("name", ["evaluation.json", "evaluation_details.json", "gallery.npz"])
def test_a_damaged_file_is_named_with_the_cure(run: Path, name: str) -> None:
    (run / name).write_bytes(b'{"half')
    with pytest.raises(
        TwofoldError, match=rf"{name}' is damaged .* Delete it and write it again with 'twofold evaluate"
    ):
        read_run(run)


@pytest.mark.parametrize(
    "name", ["evaluation.json", "evaluation_pictures.npz", "transfer.json", "transfer_details.json"]
)
@pytest.mark.parametrize("content", [b'{"half', b'[{"protocol": "linear"}]', b'[{"mean": NaN}]'])
def test_every_newer_file_that_is_damaged_is_named(rich: Path, name: str, content: bytes) -> None:
    (rich / name).write_bytes(content)
    with pytest.raises(TwofoldError, match=rf"{name}' is damaged .* Delete it and (measure|write)"):
        read_run(rich)


@pytest.mark.parametrize("field", ["mean", "low"])
def test_a_number_that_no_chart_can_show_is_damage(rich: Path, field: str) -> None:
    rows = json.loads((rich / "evaluation.json").read_text())
    rows[3][field] = float("nan")
    (rich / "evaluation.json").write_text(json.dumps(rows))
    with pytest.raises(TwofoldError, match=r"evaluation\.json' is damaged \(nan is not a finite number\)"):
        read_run(rich)


@pytest.mark.parametrize(
    "broken",
    [
        {"mistake_truth": np.array(["heron"])},
        {"pair_similarity": np.zeros(2)},
        {"mistake_thumbs": np.zeros((4, 12, 12, 3))},
        {"pair_thumbs": np.zeros((3, 12, 12, 3), np.uint8)},
    ],
)
def test_arrays_that_do_not_fit_together_are_damage(run: Path, broken: dict[str, np.ndarray]) -> None:
    write_evaluation_pictures(run, **broken)
    with pytest.raises(TwofoldError, match=r"evaluation_pictures\.npz' is damaged"):
        read_run(run)


def test_pictures_of_mistakes_and_pairs_are_read_in_their_order(rich: Path) -> None:
    content = read_run(rich)
    assert [mistake.confidence for mistake in content.mistakes] == [0.999, 0.95, 0.9, 0.5]
    assert (content.mistakes[0].truth, content.mistakes[0].predicted) == (HOSTILE, "heron")
    assert [pair.labels for pair in content.look_alikes] == [["heron", HOSTILE], ["stork", "heron"], ["heron", "stork"]]
    assert content.look_alikes[1].thumbs.shape == (2, 12, 12, 3)


def test_an_old_run_lacks_what_came_later(run: Path) -> None:
    content = read_run(run)
    assert content.details is not None
    assert (content.details.labels_per_class, content.details.differences, content.details.per_class) == ({}, [], [])
    assert (content.mistakes, content.look_alikes) == ([], [])
    assert content.transfer == Transfer()


def test_labels_keep_their_kind(rich: Path) -> None:
    kinds = {type(row.labels) for row in read_run(rich).measurements}
    assert kinds == {int, float, str}
