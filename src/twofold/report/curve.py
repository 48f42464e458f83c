"""Label efficiency: accuracy against labels per class, a line a way of measuring."""

import math
from collections.abc import Iterable, Iterator

from twofold.evaluation.labels import Labels
from twofold.evaluation.protocols import INITIAL, METRICS, labels_name, way_name
from twofold.report.content import Details, Measurement
from twofold.report.figure import Axis, Figure, FigureTable, Series, round_ticks
from twofold.report.labels import main_metric, mean_labels_per_class
from twofold.report.styles import STYLES, Style
from twofold.report.wording import decimal, in_per_cent, with_interval

NEAR = 0.045  # of the axis: marks closer than this share a text
COMPARED = [
    ("self-train", "trained"),
    ("finetune", "trained"),
    ("linear", "trained"),
    ("knn", "trained"),
    ("supervised", "untrained"),
]
BASELINES = (INITIAL, "untrained", "pixels")  # under the linear probe, or under k-NN where no probe was fitted


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
    shown.sort(key=lambda row: places[row.labels])
    series = []
    for key in keys:
        line = [row for row in shown if (row.protocol, row.encoder) == key]
        if line:
            series.append(_series(line, places, STYLES[key], way_name(*key)))
    low = max(0.0, 100 * min(row.bounds[0] for row in shown) - 4)
    high = min(101.0, 100 * max(row.bounds[1] for row in shown) + 4)
    return Figure(
        x=_label_axis(places),
        y=Axis(low=low, high=high, ticks=round_ticks(low, high), title=f"{METRICS.get(metric, metric)}, %"),
        series=series,
        table=_table(shown, places),
        width=1036,
        height=440,
        gist="; ".join(f"{line.name} from {line.y[0]:.1f} to {line.y[-1]:.1f} %" for line in series),
    )


def _series(line: list[Measurement], places: dict[Labels, float], style: Style, name: str) -> Series:
    return Series(
        name=name,
        x=[places[row.labels] for row in line],
        y=[100 * row.mean for row in line],
        low=[None if row.low is None else 100 * row.low for row in line],
        high=[None if row.high is None else 100 * row.high for row in line],
        tips=[f"{name}, {labels_name(r.labels)}: {with_interval(r.mean, r.low, r.high)}" for r in line],
        colour=style.colour,
        dash=style.dash,
        symbol=style.symbol,
    )


def _table(rows: list[Measurement], places: dict[Labels, float]) -> FigureTable:
    lines = [
        (way_name(row.protocol, row.encoder), labels_name(row.labels), places[row.labels], *in_per_cent(row))
        for row in rows
    ]
    return FigureTable(columns=("measured by", "labels", "labels per class", "%", "from", "to"), rows=lines)


def _label_axis(places: dict[Labels, float]) -> Axis:
    """A log axis with a mark at each count; counts that lie closer than their texts share one."""
    ordered = sorted(places.items(), key=lambda item: (item[1], str(item[0])))
    span = math.log10(ordered[-1][1] / ordered[0][1])
    groups: list[list[tuple[Labels, float]]] = []
    for item in ordered:
        if groups and math.log10(item[1] / groups[-1][0][1]) <= NEAR * span:
            groups[-1].append(item)
        else:
            groups.append([item])
    margin = 10 ** (0.05 * span or 0.3)
    return Axis(
        low=ordered[0][1] / margin,
        high=ordered[-1][1] * margin,
        ticks=[(group[0][1], "\n".join(_texts(group))) for group in groups],
        title="labels per class",
        is_log=True,
    )


def _texts(group: list[tuple[Labels, float]]) -> Iterator[str]:
    yield from _distinct(decimal(place) for _, place in group)
    yield from _distinct(labels_name(labels) for labels, _ in group if not isinstance(labels, int))


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
