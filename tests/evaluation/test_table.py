"""What the terminal shows: every figure in its place."""

import dataclasses
import io
import itertools
import json

import pytest
from rich.console import Console

from twofold.evaluation import Row, results_table
from twofold.evaluation.table import HEIGHT, WIDTH, text_curve


def _row(encoder="trained", mean=0.5, half=0.01, metric="top1", labels="all", protocol="knn", seeds=5):
    low, high = (mean - half, mean + half) if half is not None else (None, None)
    return Row(
        protocol=protocol,
        encoder=encoder,
        labels=labels,
        metric=metric,
        mean=mean,
        low=low,
        high=high,
        seeds=seeds,
        over="images",
    )


def _text(rows):
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(results_table(rows))
    return console.export_text()


def test_the_most_frequent_class_is_the_last_line_by_the_metrics_that_are_shown():
    console = Console(width=120, record=True, file=io.StringIO())
    majority = {"class": "cat", "top1": 0.613, "mean_per_class": 0.5}
    console.print(results_table([_row("trained", 0.912)], majority=majority))
    lines = console.export_text().splitlines()
    (place,) = [place for place, line in enumerate(lines) if "most frequent class" in line]
    assert lines[place].count("61.3") == 3
    assert place > next(place for place, line in enumerate(lines) if "91.2" in line)
    assert not any("50.0" in line for line in lines)  # mean per class is not in the table


def test_encoders_stand_side_by_side_in_percent():
    text = _text([_row("trained", 0.912), _row("untrained", 0.4, half=0.02), _row("pixels", 0.3, half=None, seeds=1)])
    (line,) = [line for line in text.splitlines() if "k-NN" in line]
    assert "all" in line
    assert line.index("91.2 ± 1.0") < line.index("40.0 ± 2.0") < line.index("30.0 ")


def test_groups_come_in_the_order_of_the_rows_and_name_their_labels():
    text = _text([_row(labels="all"), _row(labels=1), _row(labels=10)])
    assert text.index("all") < text.index("1 per class") < text.index("10 per class")


def test_mean_per_class_is_shown_where_it_differs():
    same = [_row(), _row(metric="mean_per_class")]
    assert "mean per class" not in _text(same)
    assert "mean per class" in _text([_row(), _row(metric="mean_per_class", mean=0.4)])


def test_a_missing_encoder_is_a_dash():
    assert " - " in _text([_row("trained")])


def test_json_keeps_fractions_and_has_null_for_no_interval():
    (back,) = json.loads(json.dumps([_row(half=None, seeds=1).to_dict()], allow_nan=False))
    assert back["mean"] == 0.5
    assert back["low"] is None
    assert back["labels"] == "all"
    assert set(back) == {"protocol", "encoder", "labels", "metric", "mean", "low", "high", "seeds", "over", "best"}


def test_of_an_interval_that_is_not_even_the_longer_half_is_shown():
    high = dataclasses.replace(_row(mean=0.99, half=0.03), high=1.0)
    low = dataclasses.replace(_row("pixels", mean=0.02, half=0.05), low=0.0)
    text = _text([high, low])
    assert "99.0 ± 3.0" in text
    assert "2.0 ± 5.0" in text


def test_the_caption_says_what_the_interval_covers():
    flat = " ".join(_text([_row(mean=0.7)]).split())
    assert "it covers other test images of this kind, with few labels other labelled images" in flat
    assert "not pretraining again" in flat


PER_CLASS = {"all": 500.0, "1": 1.0, "0.1": 50.0}


def row(protocol, encoder, labels, mean, metric="top1"):
    return Row(
        protocol=protocol,
        encoder=encoder,
        labels=labels,
        metric=metric,
        mean=mean,
        low=None,
        high=None,
        seeds=1,
        over="images",
    )


def column(line, place):
    return line[7 + place * WIDTH : 7 + (place + 1) * WIDTH].strip()


def test_letters_stand_at_their_heights_from_few_labels_to_many():
    rows = [
        row("linear", "trained", "all", 0.70),
        row("linear", "trained", 1, 0.30),
        row("finetune", "trained", 0.1, 0.50),
        row("linear", "trained", 0.1, 0.50),
        row("linear", "pixels", 0.1, 0.999, metric="ece"),  # another metric has no place here
    ]
    lines = text_curve(rows, PER_CLASS)
    grid = lines[1 : 1 + HEIGHT]
    assert column(grid[0], 2) == "L"
    assert column(grid[-1], 0) == "L"
    assert [column(line, 1) for line in grid if column(line, 1)] == ["FL"]
    middle = next(place for place, line in enumerate(grid) if column(line, 1))
    assert abs(middle - (HEIGHT - 1) / 2) <= 0.5
    assert [column(lines[HEIGHT + 2], place) for place in range(3)] == ["1 a class", "10 % (50)", "all (500)"]
    legend = [line.strip() for line in lines[HEIGHT + 3 :]]
    assert legend == ["F  Fine-tuning", "L  Linear probe, trained encoder"]  # of what is shown


@pytest.mark.parametrize("least", [0.05, 0.55, 0.85])
def test_marks_are_whole_numbers_in_equal_steps(least):
    lines = text_curve([row("knn", "trained", 1, least), row("knn", "trained", "all", 0.9)], PER_CLASS)
    marks = [int(line[:5]) for line in lines[1 : 1 + HEIGHT]]
    assert len({above - below for above, below in itertools.pairwise(marks)}) == 1


def test_heights_move_with_the_figures():
    one, other = (
        text_curve([row("knn", "trained", 1, mean), row("knn", "trained", "all", 0.9)], PER_CLASS)
        for mean in (0.31, 0.62)
    )
    assert one != other


def test_where_classes_are_unequal_the_curve_is_of_the_mean_per_class():
    rows = [
        row("knn", "trained", labels, mean, metric=metric)
        for labels in (1, "all")
        for metric, mean in (("mean_per_class", 0.3), ("top1", 0.9))
    ]
    title, *lines = text_curve(rows, PER_CLASS)
    assert title == "mean accuracy per class on test, %"
    assert max(int(line[:5]) for line in lines[:HEIGHT]) < 90


def test_one_budget_is_no_curve():
    assert text_curve([row("linear", "trained", "all", 0.5)], PER_CLASS) == []
