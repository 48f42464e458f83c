"""A run directory is read as it lies there, also after a kill."""

import json
from pathlib import Path

import pytest

from report.conftest import ROWS
from twofold.errors import TwofoldError
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
        TwofoldError, match=rf"{name}' is damaged .* Delete it and write it anew with 'twofold evaluate"
    ):
        read_run(run)
