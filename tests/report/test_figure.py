"""Axes, marks on them, and tables behind figures."""

import csv
import io

import pytest

from twofold.report.figure import TABLE_ROWS, Axis, FigureTable, linear_axis, round_ticks


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.2, 4.1), (0.00012, 0.00031), (47, 68), (0, 12_345), (-5, -4.5)])
def test_marks_are_few_round_and_inside(low: float, high: float) -> None:
    ticks = round_ticks(low, high)
    assert 3 <= len(ticks) <= 9
    gap = 1e-9 * (high - low)
    assert all(low - gap <= value <= high + gap for value, _ in ticks)
    assert [float(text.replace("\u2212", "-")) for _, text in ticks] == pytest.approx([value for value, _ in ticks])
    step = f"{ticks[1][0] - ticks[0][0]:e}"
    assert float(step.split("e")[0]) in (1, 2, 2.5, 5)


def test_one_value_alone_has_an_axis() -> None:
    assert round_ticks(3, 3) == [(3, "3")]
    assert linear_axis([3.0, 3.0], "").place(3.0) == 0.5
    assert linear_axis([0.0], "").place(0.0) == 0.5


def test_an_axis_from_zero_begins_there() -> None:
    axis = linear_axis([2.0, 10.0], "epoch", from_zero=True)
    assert axis.place(0.0) == 0
    assert 0.9 < axis.place(10.0) < 1


def test_a_log_axis_gives_equal_factors_equal_room() -> None:
    axis = Axis(low=1, high=1000, is_log=True)
    assert [axis.place(value) for value in (1, 10, 100, 1000)] == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_an_axis_may_be_turned_around() -> None:
    assert [Axis(low=4, high=0).place(value) for value in (0, 1, 4)] == [1, 0.75, 0]


def test_a_long_table_is_shown_in_part_and_kept_whole() -> None:
    table = FigureTable(columns=("n", 'a "name", with a comma'), rows=[(row, None) for row in range(1000)])
    assert len(table.shown) == TABLE_ROWS
    assert (table.shown[0], table.shown[-1]) == ((0, None), (999, None))
    lines = list(csv.reader(io.StringIO(table.csv.decode())))
    assert lines == [["n", 'a "name", with a comma'], *([str(row), ""] for row in range(1000))]
    assert FigureTable(columns=("n",), rows=[(1,)]).shown == [(1,)]
