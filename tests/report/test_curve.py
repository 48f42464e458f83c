"""The curve of label efficiency says what the rows say, with their intervals as bands."""

import json
from pathlib import Path

import pytest

from report.conftest import ROWS, row
from twofold.evaluation.protocols import with_labels
from twofold.report.content import Details, Measurement
from twofold.report.curve import label_curve
from twofold.report.figure import Figure, Series
from twofold.report.read import read_run

TOLD = {"all": 5000.0, "0.01": 50.0, "0.1": 500.0}


def measured(*rows: dict[str, object]) -> list[Measurement]:
    return [Measurement(**values) for values in rows]  # type: ignore[arg-type]


def details(labels_per_class: dict[str, float] | None = None) -> Details:
    return Details(train=0, test=0, classes=[], confusion=[], stated=[], labels_per_class=labels_per_class or {})


def drawn(figure: Figure | None) -> list[Series]:
    assert figure is not None
    return list(figure.series)


def test_lines_and_bands_hold_the_rows(run: Path) -> None:
    content = read_run(run)
    figure = label_curve(content.measurements, content.details)
    lines = drawn(figure)
    names = {
        "Linear probe, trained encoder": ("linear", "trained"),
        "k-NN, trained encoder": ("knn", "trained"),
        "Linear probe, untrained encoder": ("linear", "untrained"),
        "Linear probe, raw pixels": ("linear", "pixels"),
    }
    assert [line.name for line in lines] == list(names)
    for line in lines:
        mine = [row for row in ROWS if row[:2] == names[line.name]]
        mine.sort(key=lambda row: 100 if row[2] == "all" else float(row[2]))
        assert line.x == [100 if row[2] == "all" else row[2] for row in mine]
        for drawn_values, column in ((line.y, 3), (line.low, 4), (line.high, 5)):
            assert drawn_values == [100 * float(row[column]) for row in mine]
    assert figure is not None
    assert [text for _, text in figure.x.ticks] == ["1", "10", "100\nall"]


def test_the_legend_has_an_order_whatever_that_of_the_rows(rich: Path) -> None:
    content = read_run(rich)
    for rows in (content.measurements, content.measurements[::-1]):
        lines = drawn(label_curve(rows, content.details))
        assert [line.name for line in lines] == [
            "Fine-tuning",
            "Linear probe, trained encoder",
            "k-NN, trained encoder",
            "Supervised from scratch",
            "Linear probe, untrained encoder",
            "Linear probe, raw pixels",
        ]
        assert all(line.x == sorted(line.x) for line in lines)


def test_lines_are_told_apart_without_colour(rich: Path) -> None:
    content = read_run(rich)
    lines = drawn(label_curve(content.measurements, content.details))
    assert len({line.symbol for line in lines}) == len(lines) == 6
    assert len({line.dash for line in lines}) == 5  # fine-tuning and the probe are both solid


def test_fractions_lie_at_their_labels_per_class() -> None:
    rows = measured(*(row("finetune", "trained", labels, 0.5) for labels in ("all", 0.1, 1, 0.01)))
    figure = label_curve(rows, details(TOLD))
    (line,) = drawn(figure)
    assert line.x == [1, 50, 500, 5000]
    assert figure is not None
    assert [value for value, _ in figure.x.ticks] == [1, 50, 500, 5000]
    assert [text for _, text in figure.x.ticks] == ["1", "50\n1 %", "500\n10 %", "5,000\nall"]


def test_counts_too_close_for_two_texts_share_one() -> None:
    rows = measured(*(row("linear", "trained", labels, 0.5) for labels in (1, 50, 0.01, "all")))
    for one_percent, text in ((50.0, "50\n1 %"), (52.4, "50\n52.4\n1 %")):
        figure = label_curve(rows, details(TOLD | {"0.01": one_percent}))
        assert figure is not None
        assert [text for _, text in figure.x.ticks] == ["1", text, "5,000\nall"]


def test_a_row_without_an_interval_has_no_bounds() -> None:
    bare = {"low": None, "high": None}
    rows = measured(
        row("linear", "trained", 1, 0.2),
        row("linear", "trained", 2, 0.3),
        row("linear", "trained", 4, 0.4, **bare),
        row("linear", "trained", 8, 0.5),
    )
    (line,) = drawn(label_curve(rows, None))
    assert line.low[2] is line.high[2] is None
    assert [bound for bound in line.low if bound is not None] == pytest.approx([19, 29, 49])
    assert line.tips[2] == "Linear probe, trained encoder, 4 per class: 40.0 %"
    assert line.tips[3] == "Linear probe, trained encoder, 8 per class: 50.0 % (49.0 to 51.0)"


def test_one_count_alone_is_no_curve_and_unknown_places_are_left_out() -> None:
    rows = measured(row("finetune", "trained", "all", 0.9), row("linear", "trained", 0.01, 0.5))
    assert label_curve(rows, None) is None
    assert label_curve(rows, details({"all": 5000.0})) is None
    assert label_curve(rows, details(TOLD)) is not None
    assert label_curve([], None) is None


def test_other_metrics_and_layers_of_the_head_stay_out() -> None:
    rows = measured(
        *(row("linear", encoder, "all", 0.9) for encoder in ("trained", "z", "head-1")),
        *(row("linear", "trained", labels, 0.01, metric="ece") for labels in ("all", 1)),
        row("linear", "trained", 1, 0.4),
    )
    (line,) = drawn(label_curve(rows, details(TOLD)))
    assert line.y == [40, 90]


def test_without_a_linear_probe_the_baselines_are_those_of_k_nn() -> None:
    rows = measured(*(row("knn", encoder, labels, 0.5) for encoder in ("trained", "pixels") for labels in (1, 5)))
    lines = drawn(label_curve(rows, None))
    assert [line.name for line in lines] == ["k-NN, trained encoder", "k-NN, raw pixels"]


def test_a_band_that_is_not_the_interval_would_be_seen(run: Path) -> None:
    rows = json.loads((run / "evaluation.json").read_text())
    rows[0]["high"] += 0.01
    (run / "evaluation.json").write_text(json.dumps(rows))
    with pytest.raises(AssertionError):
        test_lines_and_bands_hold_the_rows(run)


def test_labels_in_words() -> None:
    assert [with_labels(labels) for labels in ("all", 1, 10, 0.01, 0.001)] == [
        "with all labels",
        "with 1 label per class",
        "with 10 labels per class",
        "at 1 % of the labels",
        "at 0.1 % of the labels",
    ]
