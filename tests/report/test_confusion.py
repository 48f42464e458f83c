"""The matrix of confusions holds the counts of the test images."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix as counted_by_sklearn

from report.conftest import CLASSES, COUNTS
from twofold.report.confusion import confusion_matrix, most_confused
from twofold.report.content import Details
from twofold.report.read import read_run


@pytest.fixture
def details(rich: Path) -> Details:
    content = read_run(rich)
    assert content.details is not None
    return content.details


def test_a_cell_is_the_share_of_the_true_class(details: Details) -> None:
    truth = [row for row, line in enumerate(COUNTS) for count in line for _ in range(count)]
    guess = [column for line in COUNTS for column, count in enumerate(line) for _ in range(count)]
    figure = confusion_matrix(details)
    assert figure is not None
    share = np.zeros((3, 3))
    for cell in figure.cells:
        share[cell.row, cell.column] = cell.strength
        assert f"{COUNTS[cell.row][cell.column]} of 10 images" in cell.tip
    np.testing.assert_allclose(share, counted_by_sklearn(truth, guess, normalize="true"))
    assert figure.table.rows[0] == ("heron", "heron", 8, 80.0)


def test_an_absent_class_has_no_cells() -> None:
    details = Details(train=3, test=3, classes=["a", "b"], confusion=[[3, 0], [0, 0]], stated=[])
    figure = confusion_matrix(details)
    assert figure is not None
    assert [(cell.row, cell.column, cell.strength) for cell in figure.cells] == [(0, 0, 1.0)]
    assert most_confused(details) == []


def test_where_nothing_was_recorded_there_is_no_figure() -> None:
    assert confusion_matrix(Details(train=3, test=3, classes=["a", "b"], confusion=[], stated=[])) is None


def test_most_confused_come_first(details: Details) -> None:
    pairs = most_confused(details, count=2)
    assert [(pair["truth"], pair["predicted"], pair["share"]) for pair in pairs] == [
        (CLASSES[2], "heron", 0.4),
        ("heron", "stork", 0.2),
    ]
