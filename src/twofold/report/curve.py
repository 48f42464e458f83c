"""Label efficiency: accuracy against labels per class, a line a way of measuring."""

import math
from collections.abc import Iterable, Iterator
from itertools import groupby

from twofold.evaluation.labels import Labels
from twofold.evaluation.protocols import labels_name, way_name
from twofold.report.charts import LEGEND_ON_TOP, Figure, plain
from twofold.report.content import Details, Measurement
from twofold.report.labels import main_metric, mean_labels_per_class
from twofold.report.styles import STYLES, Style
from twofold.report.wording import decimal, with_interval

NEAR = 0.045  # of the axis: marks closer than this share a text
COMPARED = [("finetune", "trained"), ("linear", "trained"), ("knn", "trained"), ("supervised", "untrained")]
BASELINES = ("untrained", "pixels")  # under the linear probe, or under k-NN where no probe was fitted


def label_curve(rows: list[Measurement], details: Details | None) -> Figure | None:
    """Accuracy (%) against labels per class on a log axis, bands for the intervals; None with fewer than two counts."""
    probe = "linear" if any(row.protocol == "linear" for row in rows) else "knn"
    keys = [*COMPARED, *((probe, encoder) for encoder in BASELINES)]
    metric = main_metric(rows)
    mine = [row for row in rows if (row.protocol, row.encoder) in keys and row.metric == metric]
    places = {row.labels: place for row in mine if (place := mean_labels_per_class(row.labels, details))}
    if len(places) < 2:
        return None
    shown = [row for row in mine if row.labels in places]
    bands, lines = [], []
    for key in keys:
        line = [row for row in shown if (row.protocol, row.encoder) == key]
        if line:
            line.sort(key=lambda row: places[row.labels])
            bands.append(_band(line, places, STYLES[key], way_name(*key)))
            lines.append(_line(line, places, STYLES[key], way_name(*key)))
    low, high = min(row.bounds[0] for row in shown), max(row.bounds[1] for row in shown)
    scale = [max(0.0, 100 * low - 4), min(101.0, 100 * high + 4)]
    axis = {"title": {"text": "labels per class"}, **_marks(places)}
    layout = {"xaxis": axis, "yaxis": {"title": {"text": "correct, %"}, "range": scale}, "legend": LEGEND_ON_TOP}
    return {"data": [*bands, *lines], "layout": {**layout, "hovermode": "closest"}}


def _line(line: list[Measurement], places: dict[Labels, float], style: Style, name: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "legendgroup": name,
        "x": [places[row.labels] for row in line],
        "y": [100 * row.mean for row in line],
        "text": [plain(f"{labels_name(r.labels)}: {with_interval(r.mean, r.low, r.high)}") for r in line],
        "hovertemplate": "%{text}",
        "line": {"color": style.colour, "dash": style.dash, "width": 2.2},
        "marker": {"color": style.colour, "symbol": style.symbol, "size": 9, "line": {"color": style.colour}},
    }


def _band(line: list[Measurement], places: dict[Labels, float], style: Style, name: str) -> Figure:
    """The intervals as areas; their edge also shows one that has no neighbour. Rows without one interrupt it."""
    x: list[float | None] = []
    y: list[float | None] = []
    for known, group in groupby(line, key=lambda row: row.low is not None and row.high is not None):
        if known:
            part = list(group)
            along = [places[row.labels] for row in part]
            gap = [None] if x else []
            x += [*gap, *along, *reversed(along)]
            y += [*gap, *(100 * row.bounds[1] for row in part), *(100 * row.bounds[0] for row in reversed(part))]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "legendgroup": name,
        "showlegend": False,
        "x": x,
        "y": y,
        "fill": "toself",
        "fillcolor": f"{style.colour}/0.16",
        "line": {"color": f"{style.colour}/0.3", "width": 1},
        "hoverinfo": "skip",
    }


def _marks(places: dict[Labels, float]) -> Figure:
    """A log axis with a mark at each count; counts that lie closer than their texts share one."""
    ordered = sorted(places.items(), key=lambda item: (item[1], str(item[0])))
    span = math.log10(ordered[-1][1] / ordered[0][1])
    groups: list[list[tuple[Labels, float]]] = []
    for item in ordered:
        if groups and math.log10(item[1] / groups[-1][0][1]) <= NEAR * span:
            groups[-1].append(item)
        else:
            groups.append([item])
    margin = 0.05 * span or 0.3
    return {
        "type": "log",
        "tickvals": [group[0][1] for group in groups],
        "ticktext": ["<br>".join(_texts(group)) for group in groups],
        "range": [math.log10(ordered[0][1]) - margin, math.log10(ordered[-1][1]) + margin],
    }


def _texts(group: list[tuple[Labels, float]]) -> Iterator[str]:
    yield from _distinct(decimal(place) for _, place in group)
    yield from _distinct(labels_name(labels) for labels, _ in group if not isinstance(labels, int))


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
