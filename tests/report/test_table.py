"""The tables: every figure once, in an order, the best marked where there is one to mark."""

from dataclasses import replace
from pathlib import Path

import pytest

from report.conftest import HOSTILE, row
from twofold.report import table
from twofold.report.content import Details, Measurement
from twofold.report.read import read_run
from twofold.report.wording import data_name

DETAILS = Details(
    train=50_000, test=0, classes=["c"] * 10, confusion=[], stated=[], labels_per_class={"0.01": 50.0, "0.1": 499.0}
)


def measured(*rows: dict[str, object]) -> list[Measurement]:
    return [Measurement(**values) for values in rows]  # type: ignore[arg-type]


ROWS = measured(*(row("linear", "trained", labels, 0.5) for labels in (1, 0.1, 60, 0.01, "all", 10)))


def test_fractions_stand_between_shots_by_their_labels_per_class() -> None:
    lines = table.build_table(ROWS, DETAILS).rows
    assert [line.entry for line in lines] == ["all", "10 %", "60 per class", "1 %", "10 per class", "1 per class"]


def test_an_order_by_the_number_itself_would_be_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "many_first", lambda labels, details: -labels if labels != "all" else -1e9)
    lines = table.build_table(ROWS, DETAILS).rows
    assert [line.entry for line in lines][-2:] == ["10 %", "1 %"]


def test_fractions_of_unknown_size_stand_together() -> None:
    lines = table.build_table(ROWS, None).rows
    assert [line.entry for line in lines] == ["all", "10 %", "1 %", "60 per class", "10 per class", "1 per class"]


def test_protocols_have_an_order_and_from_scratch_stands_beside_fine_tuning(rich: Path) -> None:
    content = read_run(rich)
    made = table.build_table(content.measurements, content.details)
    assert made.columns == ["Trained encoder", "Untrained encoder", "Raw pixels"]
    groups = list(dict.fromkeys(line.group for line in made.rows))
    assert groups == ["Linear probe", "Linear probe by SGD", "Fine-tuning", "k-NN"]
    tuned = [line for line in made.rows if line.group == "Fine-tuning"]
    assert [line.entry for line in tuned] == ["all", "50 %", "5 %"]
    assert {line.remark for line in tuned} == {table.FROM_SCRATCH}
    assert [[cell and cell.mean for cell in line.cells] for line in tuned] == [
        ["95.0", "96.0", None],
        ["90.0", "80.0", None],
        ["70.0", "50.0", None],
    ]


def test_the_best_is_what_the_measurement_says_not_the_largest() -> None:
    """The evaluation compares in pairs; a file of an older version says nothing, and nothing is marked."""
    rows = [row("linear", "trained", "all", 0.9, best=True, over="images"), row("linear", "pixels", "all", 0.95)]
    (line,) = table.build_table(measured(*rows)).rows
    assert [cell and cell.best for cell in line.cells] == [True, False]
    (line,) = table.build_table(measured(row("linear", "trained", "all", 0.9), rows[1])).rows
    assert [cell and cell.best for cell in line.cells] == [False, False]


def test_intervals_of_an_older_version_are_told_apart() -> None:
    now = measured(row("linear", "trained", "all", 0.9, over="images"))
    assert not table.is_old(now)
    assert table.is_old([*now, *measured(row("linear", "trained", "all", 0.9))])
    assert not table.is_old(measured(row("knn", "trained", "all", 0.9, low=None, high=None)))


def test_supervised_alone_keeps_its_name() -> None:
    made = table.build_table(measured(row("supervised", "untrained", 0.1, 0.7)))
    assert [(line.group, line.remark) for line in made.rows] == [("Supervised from scratch", "")]


def test_top5_and_calibration_stand_aside_and_are_never_the_best(rich: Path) -> None:
    content = read_run(rich)
    main, aside = (build(content.measurements, content.details) for build in (table.build_table, table.build_aside))
    assert not {"top-5 accuracy", "expected calibration error"} & {line.metric for line in main.rows}
    assert {line.metric for line in aside.rows} == {"top-5 accuracy", "expected calibration error"}
    assert not any(cell.best for line in aside.rows for cell in line.cells if cell)
    assert aside.columns == ["Trained encoder"]


def test_mean_per_class_is_shown_where_it_differs() -> None:
    rows = [
        row("linear", encoder, "all", 0.5, metric=metric)
        for encoder in ("trained", "pixels")
        for metric in ("top1", "mean_per_class")
    ]
    assert [line.metric for line in table.build_table(measured(*rows)).rows] == ["top-1 accuracy"]
    rows[1]["mean"] = 0.4
    lines = table.build_table(measured(*rows)).rows
    assert [line.metric for line in lines] == ["top-1 accuracy", "mean accuracy per class"]


def test_the_leading_metric_comes_first_as_in_the_file() -> None:
    rows = [
        row("linear", "trained", "all", mean, metric=metric)
        for metric, mean in (("mean_per_class", 0.4), ("top1", 0.5))
    ]
    for data in ("", "flowers"):
        values = measured(*(one | {"data": data} for one in rows))
        assert [line.cells[0].mean for line in table.build_table(values).rows if line.cells[0]] == ["40.0", "50.0"]
        made = table.build_transfer_table(values)
        assert [line.cells[0].mean for line in made.rows if line.cells[0]] == ["40.0", "50.0"]


def test_layers_of_the_head_go_from_h_to_z_and_are_no_columns() -> None:
    names = ["z", "head-10", "head-2", "trained", "pixels"]
    rows = measured(*(row("linear", name, "all", 0.5 + 0.01 * place) for place, name in enumerate(names)))
    assert table.build_table(rows).columns == ["Trained encoder", "Raw pixels"]
    layers = table.build_layers(rows)
    assert [name for name, _ in layers] == [
        "h, the encoder's output",
        "layer 2 of the head",
        "layer 10 of the head",
        "z",
    ]
    assert not any(cell.best for _, cell in layers)  # the sentences on the head compare them
    assert table.build_layers([row for row in rows if row.encoder in ("trained", "pixels")]) == []


def test_transfer_is_grouped_by_target(rich: Path) -> None:
    made = table.build_transfer_table(read_run(rich).transfer.measurements)
    assert made.columns == ["Trained encoder", "Untrained encoder", "runs/other"]
    hostile = data_name(HOSTILE)
    assert [(line.group, line.entry) for line in made.rows] == [
        (group, protocol)
        for group in ("flowers", hostile, f"{hostile}, mean accuracy per class")
        for protocol in ("Linear probe", "Fine-tuning")
    ]
    assert [line.remark for line in made.rows] == ["", table.FROM_SCRATCH] * 3
    assert [cell and cell.mean for cell in made.rows[5].cells] == ["85.0", "55.0", None]


def test_the_most_frequent_class_is_a_line_beside_every_encoder(rich: Path) -> None:
    run = read_run(rich)
    assert run.details is not None
    details = replace(run.details, majority={"top1": 0.123})
    last = table.build_table(run.measurements, details).rows[-1]
    assert (last.group, last.metric) == ("Most frequent class", "top-1 accuracy")
    assert {cell.mean for cell in last.cells if cell} == {"12.3"}
    groups = [line.group for line in table.build_table(run.measurements, replace(details, majority={})).rows]
    assert "Most frequent class" not in groups


def test_find_passes_over_what_is_no_accuracy() -> None:
    rows = measured(row("linear", "trained", "all", 0.02, metric="ece"), row("linear", "trained", "all", 0.9))
    found = table.find(rows, "linear", "trained", "all")
    assert found is not None
    assert found.mean == 0.9
