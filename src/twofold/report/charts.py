"""Figures for plotly.js as plain dictionaries: {"data": traces, "layout": layout}.

Colours are written as names of the style sheet's variables ("@accent", "@accent/0.2" with opacity); the page's script
puts the values in, so one figure serves the light and the dark theme. Every text that comes from a file's name or a
label goes through `plain`, because plotly reads some tags in texts.
"""

import html
from collections import Counter
from typing import Any

import numpy as np
from jaxtyping import Float

from twofold.console import visible
from twofold.report.content import ClassShare, Details, Gallery
from twofold.report.wording import with_interval

Figure = dict[str, Any]
CATEGORIES = 10  # colours in the style sheet: --category-0 to --category-9
MOST_POINTS = 600
CELL_TEXT_CLASSES = 12
MATRIX_TICKS = 30
MOST_CLASSES = 40


def plain(text: str) -> str:
    """Text that plotly shows letter by letter, control characters spelt out."""
    return html.escape(visible(text), quote=False)


def short(text: str, letters: int = 18) -> str:
    """`plain`, and cut where it would take the place of the picture."""
    return plain(text if len(text) <= letters else text[: letters - 1].rstrip() + "\u2026")


def training_curve(
    rows: list[dict[str, Any]], key: str, *, factor: int | float, unit: str, chance: int | float | None
) -> Figure | None:
    """A column of the training rows against the epoch: every row faint, the running mean strong, chance dotted.

    `factor` scales the values (100 for per cent), `chance` is given in the scaled unit (None: no
    line). None with fewer than two rows.
    """
    points = [(row["epoch"], factor * row[key]) for row in rows if row.get(key) is not None]
    if len(points) < 2:
        return None
    epochs, values = (np.array(column, dtype=float) for column in zip(*points, strict=True))
    smooth = running_mean(values, max(2, len(values) // 40))
    kept = np.unique(np.linspace(0, len(values) - 1, min(len(values), MOST_POINTS)).round().astype(int))
    x = rounded(epochs[kept])
    line: Figure = {"type": "scatter", "mode": "lines", "x": x}
    flat = {**line, "x": [x[0], x[-1]], "y": [chance, chance], "name": "chance", "hoverinfo": "skip"}
    dotted = [] if chance is None else [{**flat, "line": {"color": "@muted", "width": 1.2, "dash": "dot"}}]
    faint = {**line, "y": rounded(values[kept]), "name": "recorded", "hoverinfo": "skip"}
    strong = {**line, "y": rounded(smooth[kept]), "name": "running mean", "hovertemplate": f"%{{y:.4~g}} {unit}"}
    return {
        "data": [
            {**faint, "line": {"color": "@accent/0.3", "width": 1}},
            {**strong, "line": {"color": "@accent", "width": 2.4}},
            *dotted,
        ],
        "layout": {
            "xaxis": {"title": {"text": "epoch"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": unit}},
            "hovermode": "x unified",
            "legend": LEGEND_ON_TOP,
        },
    }


def running_mean(values: np.ndarray, reach: int) -> np.ndarray:
    """The mean over up to `reach` neighbours on either side; at the start equally many, so a steep fall stays steep."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    before = np.minimum(at, reach)
    after = np.minimum(before, at[::-1])
    return (sums[at + after + 1] - sums[at - before]) / (before + after + 1)


def health_curve(rows: list[dict[str, Any]], keys: dict[str, str], *, factor: int | float = 1) -> Figure | None:
    """Monitor rows' measures (key -> its name in the legend) against the epoch; None where none was recorded."""
    styles = [("@accent", "solid", "circle"), ("@baseline", "dash", "square")]
    traces = []
    for (key, name), (colour, dash, symbol) in zip(keys.items(), styles, strict=False):
        points = [(row["epoch"], factor * row[key]) for row in rows if row.get(key) is not None]
        if points:
            trace: Figure = {"type": "scatter", "mode": "lines+markers", "name": name, "hovertemplate": "%{y:.3~g}"}
            trace |= {"x": rounded([epoch for epoch, _ in points]), "y": rounded([value for _, value in points])}
            trace |= {"line": {"color": colour, "dash": dash, "width": 2}, "cliponaxis": False}
            traces.append({**trace, "marker": {"color": colour, "symbol": symbol, "size": 5}})
    layout: Figure = {
        "xaxis": {"title": {"text": "epoch"}, "rangemode": "tozero"},
        "hovermode": "x unified",
        "legend": LEGEND_ON_TOP,
    }
    return {"data": traces, "layout": {**layout, "showlegend": len(traces) > 1}} if traces else None


def embedding_map(gallery: Gallery) -> Figure:
    """The gallery's places, a trace a label; `customdata` is the picture's number, for the picture at the pointer."""
    shown = [label for label, _ in Counter(filter(None, gallery.labels)).most_common(CATEGORIES)]
    groups = {label: f"@category-{place}" for place, label in enumerate(sorted(shown))}
    rest = [label for label in set(gallery.labels) if label not in groups]
    traces, notes = [], []
    for name, colour in [*groups.items(), *([("", "@muted")] if rest else [])]:
        rows = [row for row, label in enumerate(gallery.labels) if (label if label in groups else "") == name]
        traces.append(_map_trace(gallery.xy[rows], rows, name or ("other" if groups else "pictures"), colour))
        if name:
            notes.append((name, *densest_place(gallery.xy[rows])))
    bare = {"showgrid": False, "showline": False, "showticklabels": False, "fixedrange": False}
    legend = {"orientation": "h", "y": -0.02, "yanchor": "top", "itemsizing": "constant"}
    layout = {
        "xaxis": bare,
        "yaxis": {**bare, "scaleanchor": "x"},
        "annotations": _map_notes(notes, float(np.ptp(gallery.xy, axis=0).max())),
        "legend": legend,
    }
    return {"data": traces, "layout": {**layout, "hovermode": "closest", "showlegend": len(traces) > 1}}


def densest_place(xy: Float[np.ndarray, "n 2"]) -> tuple[float, float]:
    """Of the given points the one whose nearest quarter lies closest: amid a cluster, never between two."""
    distances = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1))
    place = xy[np.partition(distances, len(xy) // 4, axis=1)[:, len(xy) // 4].argmin()]
    return float(place[0]), float(place[1])


def _map_notes(notes: list[tuple[str, float, float]], extent: float) -> list[Figure]:
    """The names on the map, moved down where they would cover each other."""
    wide, high = 0.011 * extent, 0.04 * extent  # of a letter, of a line
    placed: list[tuple[str, float, float]] = []
    for name, x, y in sorted(notes, key=lambda note: -note[2]):
        for other, other_x, other_y in placed:  # from the top down, so that one pass is enough
            if abs(x - other_x) < wide * (min(len(name), 18) + min(len(other), 18)) / 2 and abs(y - other_y) < high:
                y = other_y - high
        placed.append((name, x, y))
    return [{"x": x, "y": y, "text": short(name), **_MAP_NOTE} for name, x, y in placed]


def _map_trace(xy: np.ndarray, rows: list[int], name: str, colour: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": short(name, 30),
        "x": rounded(xy[:, 0]),
        "y": rounded(xy[:, 1]),
        "customdata": rows,
        "hoverinfo": "none",
        "marker": {"size": 6.5, "opacity": 0.8, "color": colour, "line": {"width": 0.6, "color": "@paper"}},
    }


def confusion_matrix(details: Details) -> Figure | None:
    """Rows truth, columns predicted: per cent of the true class as colour, counts on hover. None where not recorded."""
    if not details.confusion:
        return None
    counts = np.array(details.confusion)
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [plain(name) for name in details.classes]
    trace: Figure = {
        "type": "heatmap",
        "x": names,
        "y": names,
        "z": rounded(share),
        "customdata": counts.tolist(),
        "colorscale": [[0, "@card"], [1, "@accent"]],
        "zmin": 0,
        "zmax": 100,
        "xgap": 1,
        "ygap": 1,
        "showscale": False,
        "hovertemplate": "%{y}, taken for %{x}<br>%{customdata:,} pictures, %{z:.1f} %<extra></extra>",
    }
    if len(names) <= CELL_TEXT_CLASSES:
        trace |= {"texttemplate": "%{text}", "text": [[f"{v:.0f}" if v > 0.5 else "" for v in row] for row in share]}
    marked = range(0, len(names), -(-len(names) // MATRIX_TICKS))
    ticks = {"tickvals": [names[n] for n in marked], "ticktext": [short(details.classes[n]) for n in marked]}
    axis = {**ticks, "type": "category", "showgrid": False}
    down = {**axis, "title": {"text": "true class"}, "autorange": "reversed"}
    along = {**axis, "title": {"text": "predicted"}, "tickangle": -45}
    return {"data": [trace], "layout": {"xaxis": along, "yaxis": down}}


def most_confused(details: Details, count: int = 5) -> list[dict[str, Any]]:
    """The largest shares off the diagonal: {"truth", "predicted", "share" (fraction), "count"}, largest first."""
    pairs: list[dict[str, Any]] = [
        {"truth": details.classes[row], "predicted": details.classes[column], "share": n / sum(line), "count": n}
        for row, line in enumerate(details.confusion)
        for column, n in enumerate(line)
        if n and row != column
    ]
    return sorted(pairs, key=lambda pair: -pair["share"])[:count]


def class_bars(classes: list[ClassShare]) -> Figure | None:
    """Correct answers (%) of each class, worst first, at most 40 classes, with intervals. None without classes."""
    if not classes:
        return None
    worst = sorted(classes, key=lambda row: row.share)[:MOST_CLASSES]
    places = list(range(len(worst)))
    trace: Figure = {
        "type": "bar",
        "orientation": "h",
        "x": [100 * row.share for row in worst],
        "y": places,
        "error_x": {
            "array": [100 * ((row.share if row.high is None else row.high) - row.share) for row in worst],
            "arrayminus": [100 * (row.share - (row.share if row.low is None else row.low)) for row in worst],
            "symmetric": False,
            "color": "@ink",
            "thickness": 1.2,
            "width": 3,
        },
        "marker": {"color": "@accent/0.45"},
        "text": [plain(f"{row.name}: {with_interval(row.share, row.low, row.high)} of {row.count:,}") for row in worst],
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
    }
    down = {"tickvals": places, "ticktext": [f"{short(row.name)} " for row in worst], "autorange": "reversed"}
    along = {"title": {"text": "correct, %"}, "range": [0, 101]}
    layout = {"height": 70 + 22 * len(worst), "bargap": 0.35, "hovermode": "closest"}
    return {"data": [trace], "layout": {**layout, "xaxis": along, "yaxis": {**down, "showgrid": False}}}


def rounded(values: Any) -> Any:
    """JSON-ready, five significant digits: a page of curves stays small."""
    if np.ndim(values) > 1:
        return [rounded(row) for row in values]
    return [float(f"{value:.5g}") for value in values]


LEGEND_ON_TOP = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
_MAP_NOTE = {
    "showarrow": False,
    "font": {"size": 13, "color": "@ink", "weight": 600},
    "bgcolor": "@paper/0.7",
    "borderpad": 2,
    "captureevents": False,
}
