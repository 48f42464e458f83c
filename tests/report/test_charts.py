"""Figures say what the numbers say."""

from pathlib import Path

import numpy as np
import pytest
import torch

from report.conftest import CLASSES
from twofold.losses import contrast_accuracy, nt_xent
from twofold.report import charts
from twofold.report.content import ClassShare, RunContent
from twofold.report.read import read_run
from twofold.report.run_page import _figures


@pytest.fixture
def content(rich: Path) -> RunContent:
    return read_run(rich)


def test_a_run_with_everything_has_every_figure(content: RunContent) -> None:
    assert set(_figures(content)) == {
        *("few-labels", "transfer", "loss", "positives", "map", "confusion", "classes"),
        *("rank", "pairs", "std", "knn", "alignment", "uniformity"),
    }


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
    for line in figure.series[:2]:
        assert len(line.x) <= charts.MOST_POINTS
        assert (line.x[0], line.x[-1]) == (0, 199.99)
        assert (line.y[0], line.y[-1]) == (5, pytest.approx(1.0, abs=0.06))  # the mean of the last 501
    assert len(figure.strips) == charts.MOST_STRIPS
    assert figure.strips[-1][1].startswith("epoch 199.99: 1.0")
    assert figure.gist == "from 5 to 1.05 nats"


def test_rows_without_a_number_are_left_out() -> None:
    rows = [{"epoch": 0.0, "loss": 1.0}, {"epoch": 1.0, "loss": None}, {"epoch": 2.0, "loss": 3.0}]
    figure = charts.training_curve(rows, "loss", factor=1, unit="nats", chance=3.0)
    assert figure is not None
    assert figure.series[0].x == [0, 2]
    assert charts.training_curve(rows[:2], "loss", factor=1, unit="nats", chance=3.0) is None


def test_chance_is_that_of_the_loss_and_that_of_finding_positives(content: RunContent) -> None:
    """Against random vectors and the real functions: 2n - 1 candidates in the loss, n in contrast_accuracy."""
    n = content.record["recipe"]["schedule"]["batch_size"]
    z = torch.randn(2, 4000, n, 64, generator=torch.Generator().manual_seed(0))
    drawn = [float(contrast_accuracy(*batch)) for batch in z.unbind(1)]
    same = torch.ones(n, 64)  # all similarities equal
    figures = _figures(content)
    chance = {name: figures[name].series[2].y for name in ("loss", "positives")}
    assert figures["positives"].series[2].name == figures["loss"].series[2].name == "chance"
    assert chance["positives"] == [100 / n] * 2
    assert 100 * np.mean(drawn) == pytest.approx(chance["positives"][0], rel=0.04)  # 2.7 standard errors
    assert chance["loss"] == pytest.approx([float(nt_xent(same, same, temperature=0.1))] * 2)


def test_positive_pairs_found_begin_with_the_untrained_encoder(content: RunContent) -> None:
    (line,) = _figures(content)["pairs"].series
    assert list(line.x) == [0, 1, 2, 3]
    assert list(line.y) == pytest.approx([2.1, 22.1, 42.1, 62.1])


def test_two_measures_share_a_figure_and_one_that_is_missing_leaves_a_gap() -> None:
    rows = [{"epoch": 0.0, "h": 1.0, "z": 2.0}, {"epoch": 1.0, "h": 3.0, "z": None}, {"epoch": 2.0}]
    figure = charts.health_curve(rows, {"h": "of h", "z": "of z"})
    assert figure is not None
    assert [(line.name, list(line.x), list(line.y)) for line in figure.series] == [
        ("of h", [0, 1], [1, 3]),
        ("of z", [0], [2]),
    ]
    assert figure.table.rows == [(0.0, 1.0, 2.0), (1.0, 3.0, None)]
    assert [tip for _, tip in figure.strips] == ["epoch 0: of h 1, of z 2", "epoch 1: of h 3"]
    assert charts.health_curve(rows, {"nothing": "of none"}) is None


def test_classes_are_bars_with_their_intervals_worst_first(content: RunContent) -> None:
    assert content.details is not None
    figure = charts.class_bars(content.details.per_class)
    assert figure is not None
    (bars,) = figure.series
    assert figure.y.ticks == [(place, charts.short(name)) for place, name in enumerate((CLASSES[2], "heron", "stork"))]
    assert figure.y.low > figure.y.high  # the first one on top
    assert bars.x == [50, 80, 90]
    assert bars.low == [20, 50, None]
    assert bars.high == [80, 95, None]
    assert bars.tips[1] == "heron: 80.0 % (50.0 to 95.0) of 10"


def test_of_many_classes_the_worst_are_shown_and_all_are_in_the_table() -> None:
    classes = [ClassShare(name=f"c{n}", count=9, share=(n * 37 % 100) / 100, low=None, high=None) for n in range(100)]
    figure = charts.class_bars(classes)
    assert figure is not None
    assert figure.series[0].x == pytest.approx(list(range(charts.MOST_CLASSES)))
    assert [row[2] for row in figure.table.rows] == pytest.approx(list(range(100)))
    assert charts.class_bars([]) is None
