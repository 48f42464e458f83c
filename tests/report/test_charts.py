"""Figures say what the numbers say; plotly itself judges whether they are figures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects
import pytest
import torch
from sklearn.metrics import confusion_matrix

from report.conftest import CLASSES, COUNTS
from twofold.losses import contrast_accuracy, nt_xent
from twofold.report import charts
from twofold.report.build import _figures
from twofold.report.content import ClassShare, Details, Gallery, RunContent
from twofold.report.read import read_run


@pytest.fixture
def content(rich: Path) -> RunContent:
    return read_run(rich)


def with_colours(value: Any, key: str = "") -> Any:
    """The page's script in Python: names of colours become a colour."""
    if isinstance(value, dict):
        return {name: with_colours(part, name) for name, part in value.items()}
    if isinstance(value, list):
        return [with_colours(part, key) for part in value]
    return "#123456" if "color" in key and isinstance(value, str) and value.startswith("@") else value


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for part in value.values() for text in strings(part)]
    if isinstance(value, list):
        return [text for part in value for text in strings(part)]
    return [value] if isinstance(value, str) else []


def test_plotly_accepts_every_figure(content: RunContent) -> None:
    figures = _figures(content)
    assert set(figures) == {
        *("few-labels", "transfer", "loss", "positives", "map", "confusion", "classes"),
        *("rank", "pairs", "std", "knn", "alignment", "uniformity"),
    }
    for figure in figures.values():
        plotly.graph_objects.Figure(with_colours(json.loads(json.dumps(figure, allow_nan=False))))


def test_plotly_would_refuse_a_wrong_figure(content: RunContent) -> None:
    figure = with_colours(_figures(content)["loss"])
    figure["data"][0]["mode"] = "zigzag"
    with pytest.raises(ValueError, match="zigzag"):
        plotly.graph_objects.Figure(figure)


def test_every_colour_is_in_the_style_sheet_for_both_themes(content: RunContent) -> None:
    style = (Path(charts.__file__).parent / "templates" / "report.css").read_text()
    colours = {text[1:].split("/")[0] for text in strings(_figures(content)) if text.startswith("@")}
    colours |= {f"category-{number}" for number in range(charts.CATEGORIES)}
    assert "accent" in colours
    assert all(style.count(f"--{colour}: #") == 2 for colour in colours)


def test_no_label_reaches_plotly_as_markup(content: RunContent) -> None:
    own = "<br>", "<extra></extra>"
    for text in strings(_figures(content)):
        for tag in own:
            text = text.replace(tag, "")
        assert "<" not in text


@pytest.mark.parametrize("reach", [1, 3, 50])
def test_running_mean_equals_the_loop(reach: int) -> None:
    values = np.random.default_rng(0).normal(size=37)
    for at, mean in enumerate(charts.running_mean(values, reach)):
        before = min(reach, at)
        assert mean == pytest.approx(values[at - before : at + before + 1].mean())  # cut off by the end of the values


def test_long_runs_are_thinned_but_keep_their_ends() -> None:
    rows = [{"epoch": step / 100, "loss": 5 - step / 5000} for step in range(20_000)]
    figure = charts.training_curve(rows, "loss", factor=1, unit="nats", chance=3.0)
    assert figure is not None
    for trace in figure["data"][:2]:
        assert len(trace["x"]) <= charts.MOST_POINTS
        assert (trace["x"][0], trace["x"][-1]) == (0, 199.99)
        assert (trace["y"][0], trace["y"][-1]) == (5, pytest.approx(1.0, abs=0.06))  # the mean of the last 501


def test_rows_without_a_number_are_left_out() -> None:
    rows = [{"epoch": 0.0, "loss": 1.0}, {"epoch": 1.0, "loss": None}, {"epoch": 2.0, "loss": 3.0}]
    figure = charts.training_curve(rows, "loss", factor=1, unit="nats", chance=3.0)
    assert figure is not None
    assert figure["data"][0]["x"] == [0, 2]
    assert charts.training_curve(rows[:2], "loss", factor=1, unit="nats", chance=3.0) is None


def test_chance_is_that_of_the_loss_and_that_of_finding_positives(content: RunContent) -> None:
    """Against random vectors and the real functions: 2n - 1 candidates in the loss, n in contrast_accuracy."""
    n = content.record["recipe"]["schedule"]["batch_size"]
    z = torch.randn(2, 4000, n, 64, generator=torch.Generator().manual_seed(0))
    found = [float(contrast_accuracy(*batch)) for batch in z.unbind(1)]
    same = torch.ones(n, 64)  # all similarities equal
    figures = _figures(content)
    chance = {name: figures[name]["data"][2]["y"] for name in ("loss", "positives")}
    assert figures["positives"]["data"][2]["name"] == figures["loss"]["data"][2]["name"] == "chance"
    assert chance["positives"] == [100 / n] * 2
    assert 100 * np.mean(found) == pytest.approx(chance["positives"][0], rel=0.04)  # 2.7 standard errors
    assert chance["loss"] == pytest.approx([float(nt_xent(same, same, temperature=0.1))] * 2)


def test_positive_pairs_found_begin_with_the_untrained_encoder(content: RunContent) -> None:
    trace = _figures(content)["pairs"]["data"][0]
    assert trace["x"] == [0, 1, 2, 3]
    assert trace["y"] == pytest.approx([2.1, 22.1, 42.1, 62.1])


def test_the_map_shows_every_picture_once(content: RunContent) -> None:
    assert content.gallery is not None
    figure = charts.embedding_map(content.gallery)
    rows = [row for trace in figure["data"] for row in trace["customdata"]]
    assert sorted(rows) == list(range(20))
    for trace in figure["data"]:
        for row, x, y in zip(trace["customdata"], trace["x"], trace["y"], strict=True):
            assert (x, y) == pytest.approx(tuple(content.gallery.xy[row]), rel=1e-4)


def test_classes_beyond_ten_are_called_other() -> None:
    labels = [f"c{row % 25 if row % 2 else row % 6:02d}" for row in range(300)]
    gallery = Gallery(
        thumbs=np.zeros((300, 2, 2, 3), np.uint8),
        paths=labels,
        labels=labels,
        xy=np.random.default_rng(0).normal(size=(300, 2)),
        queries=np.arange(0),
        neighbours=np.zeros((0, 8), dtype=int),
        split="train",
    )
    names = [trace["name"] for trace in charts.embedding_map(gallery)["data"]]
    assert len(names) == 11
    assert names[-1] == "other"


def test_the_densest_place_lies_in_a_cluster() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(60, 2)) * 0.1, rng.normal(size=(40, 2)) * 0.1 + [10, 0]
    x, y = charts.densest_place(np.concatenate([left, right]))
    assert np.hypot(x, y) < 0.3  # the median of two equal clusters would be between them


def test_names_on_the_map_do_not_cover_each_other() -> None:
    notes = charts._map_notes([("heron", 0.0, 0.0), ("stork", 0.1, 0.1), ("egret", 0.0, 0.05)], 10.0)
    heights = sorted(note["y"] for note in notes)
    assert np.diff(heights).min() >= 0.4 - 1e-9


def test_confusion_is_the_share_of_the_true_class(content: RunContent) -> None:
    assert content.details is not None
    truth = [row for row, line in enumerate(COUNTS) for count in line for _ in range(count)]
    guess = [column for line in COUNTS for column, count in enumerate(line) for _ in range(count)]
    figure = charts.confusion_matrix(content.details)
    assert figure is not None
    np.testing.assert_allclose(
        figure["data"][0]["z"], 100 * confusion_matrix(truth, guess, normalize="true"), rtol=1e-4
    )
    assert figure["data"][0]["customdata"] == COUNTS


def test_an_absent_class_has_a_row_of_zeros() -> None:
    details = Details(train=3, test=3, classes=["a", "b"], confusion=[[3, 0], [0, 0]], stated=[])
    figure = charts.confusion_matrix(details)
    assert figure is not None
    assert figure["data"][0]["z"] == [[100, 0], [0, 0]]
    assert charts.most_confused(details) == []


def test_most_confused_come_first(content: RunContent) -> None:
    assert content.details is not None
    pairs = charts.most_confused(content.details, count=2)
    assert [(pair["truth"], pair["predicted"], pair["share"]) for pair in pairs] == [
        (CLASSES[2], "heron", 0.4),
        ("heron", "stork", 0.2),
    ]


def test_classes_are_bars_with_their_intervals_worst_first(content: RunContent) -> None:
    assert content.details is not None
    figure = charts.class_bars(content.details.per_class)
    assert figure is not None
    bars = figure["data"][0]
    assert figure["layout"]["yaxis"]["ticktext"] == [
        f"{charts.short(name)} " for name in (CLASSES[2], "heron", "stork")
    ]
    assert figure["layout"]["yaxis"]["autorange"] == "reversed"
    assert bars["x"] == [50, 80, 90]
    assert bars["error_x"]["array"] == pytest.approx([30, 15, 0])
    assert bars["error_x"]["arrayminus"] == pytest.approx([30, 30, 0])


def test_of_many_classes_the_worst_are_shown() -> None:
    classes = [ClassShare(name=f"c{n}", count=9, share=(n * 37 % 100) / 100, low=None, high=None) for n in range(100)]
    figure = charts.class_bars(classes)
    assert figure is not None
    assert figure["data"][0]["x"] == pytest.approx(list(range(charts.MOST_CLASSES)))
    assert charts.class_bars([]) is None
