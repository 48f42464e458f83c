"""Dots of the transfer: each row once, in its target's lane."""

from pathlib import Path

import pytest

from report.conftest import HOSTILE, row
from twofold.report.charts import plain, short
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
    assert [trace["name"] for trace in figure["data"]] == [
        "Fine-tuning",
        "Linear probe, trained encoder",
        "Supervised from scratch",
        "Linear probe, runs/other",
    ]
    for trace, mean in zip(figure["data"], (90, 80, 60, 78), strict=True):
        assert trace["x"] == pytest.approx([mean, mean, mean - 5])  # flowers, the other, its mean per class
        assert trace["error_x"]["array"] == pytest.approx([1, 1, 1])
        assert trace["error_x"]["arrayminus"] == pytest.approx([1, 1, 1])


def test_a_target_has_a_lane_and_one_of_mean_per_class_where_that_differs(measurements: list[Measurement]) -> None:
    figure = transfer_dots(measurements)
    assert figure is not None
    name = short(data_name(HOSTILE))
    assert figure["layout"]["yaxis"]["ticktext"] == ["flowers", name, f"{name}<br>mean accuracy per class"]
    edges = [0, *(shape["y0"] for shape in figure["layout"]["shapes"]), figure["layout"]["yaxis"]["range"][0]]
    for trace in figure["data"]:
        assert all(low < y < high for y, low, high in zip(trace["y"], edges, edges[1:], strict=False))
    places = [y for trace in figure["data"] for y in trace["y"]]
    assert len(set(places)) == len(places)  # no marker covers another
    assert figure["layout"]["yaxis"]["range"][1] == 0  # the first target on top


def test_markers_are_told_apart_without_colour(measurements: list[Measurement]) -> None:
    figure = transfer_dots(measurements)
    assert figure is not None
    assert len({trace["marker"]["symbol"] for trace in figure["data"]}) == len(figure["data"])


def test_names_of_runs_stay_text() -> None:
    values = row("linear", "<b>run</b>", "all", 0.5, data="<i>")
    figure = transfer_dots([Measurement(**values)])
    assert figure is not None
    assert plain("<b>run</b>") in figure["data"][0]["name"]
    assert "<" not in figure["data"][0]["text"][0]


def test_without_rows_there_is_no_chart() -> None:
    assert transfer_dots([]) is None


def test_targets_in_words(rich: Path) -> None:
    first, second = target_facts(read_run(rich).transfer)
    assert first == "flowers: 900 pictures to train on and 100 to test, 5 classes, its own split"
    assert second.endswith("a test split cut off by seed")
