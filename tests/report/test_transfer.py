"""Dots of the transfer: each row once, in its target's lane."""

from pathlib import Path

import pytest

from report.conftest import HOSTILE
from twofold.report.charts import short
from twofold.report.content import Measurement
from twofold.report.read import read_run
from twofold.report.transfer import target_facts, transfer_dots
from twofold.report.wording import data_name


@pytest.fixture
def measurements(rich: Path) -> list[Measurement]:
    return read_run(rich).transfer.measurements


def test_every_row_is_a_dot_with_its_interval(measurements: list[Measurement]) -> None:
    figure = transfer_dots(measurements)
    assert figure is not None
    assert [line.name for line in figure.series] == [
        "Fine-tuning",
        "Linear probe, trained encoder",
        "Supervised from scratch",
        "Linear probe, runs/other",
    ]
    for line, mean in zip(figure.series, (90, 80, 60, 78), strict=True):
        expected = [mean, mean, mean - 5]  # flowers, the other, its mean per class
        assert line.x == pytest.approx(expected)
        assert list(line.low) == pytest.approx([value - 1 for value in expected])
        assert list(line.high) == pytest.approx([value + 1 for value in expected])


def test_a_target_has_a_lane_and_one_of_mean_per_class_where_that_differs(measurements: list[Measurement]) -> None:
    figure = transfer_dots(measurements)
    assert figure is not None
    name = short(data_name(HOSTILE))
    assert [text for _, text in figure.y.ticks] == ["flowers", name, f"{name}\nmean accuracy per class"]
    edges = [0, *figure.rules, figure.y.low]
    for line in figure.series:
        assert all(low < y < high for y, low, high in zip(line.y, edges, edges[1:], strict=False))
    places = [y for line in figure.series for y in line.y]
    assert len(set(places)) == len(places)  # no marker covers another
    assert figure.y.high == 0  # the first target on top


def test_markers_are_told_apart_without_colour(measurements: list[Measurement]) -> None:
    figure = transfer_dots(measurements)
    assert figure is not None
    assert len({line.symbol for line in figure.series}) == len(figure.series)


def test_without_rows_there_is_no_chart() -> None:
    assert transfer_dots([]) is None


def test_targets_in_words(rich: Path) -> None:
    first, second = target_facts(read_run(rich).transfer)
    assert first == "flowers: 900 images to train on and 100 to test, 5 classes, its own split"
    assert second.endswith("a test split cut off by seed")
