"""The figures of a run's training and of its classes, from rows as the run directory holds them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from twofold.report.content import ClassShare
from twofold.report.figure import Axis, Figure, FigureTable, Series, linear_axis, round_ticks
from twofold.report.wording import decimal, percent, with_interval

CATEGORIES = 10  # colours in the style sheet: --category-0 to --category-9
MOST_POINTS = 600
MOST_STRIPS = 120
MOST_CLASSES = 40
BAR_PX, AROUND_BARS_PX = 22, 60


def short(text: str, letters: int = 18) -> str:
    """Cut where it would take the place of the figure."""
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "\u2026"


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
    kept = _spread(len(values), MOST_POINTS)
    x, recorded, mean = rounded(epochs[kept]), rounded(values[kept]), rounded(smooth[kept])
    series = [
        Series(name="recorded", x=x, y=recorded, dash="solid", width=1, opacity=0.3),
        Series(name="running mean", x=x, y=mean, dash="solid", width=2.4),
    ]
    if chance is not None:
        flat = [chance, chance]
        series.append(Series(name="chance", x=[x[0], x[-1]], y=flat, colour="muted", dash="dot", width=1.6))
    bounds = [*recorded, *([] if chance is None else [chance])]
    return Figure(
        x=linear_axis(x, "epoch", from_zero=True),
        y=linear_axis(bounds, unit),
        series=series,
        strips=[(x[at], f"epoch {x[at]:g}: {mean[at]:.4g} {unit}") for at in _spread(len(x), MOST_STRIPS)],
        table=FigureTable(
            columns=("epoch", f"recorded, {unit}", f"running mean, {unit}"), rows=[*zip(x, recorded, mean, strict=True)]
        ),
        gist=_gist(mean, unit),
    )


def running_mean(values: np.ndarray, reach: int) -> np.ndarray:
    """The mean over up to `reach` neighbours on either side; at the start equally many, so a steep fall stays steep."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    before = np.minimum(at, reach)
    after = np.minimum(before, at[::-1])
    return (sums[at + after + 1] - sums[at - before]) / (before + after + 1)


def health_curve(rows: list[dict[str, Any]], keys: dict[str, str], *, factor: int | float = 1) -> Figure | None:
    """Monitor rows' measures (key -> its name in the legend) against the epoch; None where none was recorded."""
    recorded = [row for row in rows if any(row.get(key) is not None for key in keys)]
    if not recorded:
        return None
    table = [
        (row["epoch"], *(None if row.get(key) is None else rounded([factor * row[key]])[0] for key in keys))
        for row in recorded
    ]
    looks = (("accent", "solid", "circle"), ("baseline", "dash", "square"))
    series = []
    for place, (name, look) in enumerate(zip(keys.values(), looks, strict=False), start=1):
        points = [(line[0], line[place]) for line in table if line[place] is not None]
        if points:
            x, y = zip(*points, strict=True)
            series.append(Series(name=name, x=x, y=y, colour=look[0], dash=look[1], symbol=look[2], width=2, size=5))
    named = [
        [f"{name} {value:.3g}" for name, value in zip(keys.values(), line[1:], strict=True) if value is not None]
        for line in table
    ]
    return Figure(
        x=linear_axis([line[0] for line in table], "epoch", from_zero=True),
        y=linear_axis([value for line in series for value in line.y], "", count=4),
        series=series,
        strips=[
            (table[at][0], f"epoch {table[at][0]:g}: {', '.join(named[at])}") for at in _spread(len(table), MOST_STRIPS)
        ],
        table=FigureTable(columns=("epoch", *keys.values()), rows=table),
        has_legend=len(series) > 1,
        width=330,
        height=190,
        gist="; ".join(_gist(line.y, line.name if len(series) > 1 else "") for line in series),
    )


def class_bars(classes: list[ClassShare]) -> Figure | None:
    """Correct answers (%) of each class, worst first, at most 40 classes, with intervals. None without classes."""
    if not classes:
        return None
    ordered = sorted(classes, key=lambda row: row.share)
    worst = ordered[:MOST_CLASSES]
    table = [(row.name, row.count, *(_per_cent(value) for value in (row.share, row.low, row.high))) for row in ordered]
    bars = Series(
        name="correct",
        x=[100 * row.share for row in worst],
        y=range(len(worst)),
        opacity=0.45,
        low=[None if row.low is None else 100 * row.low for row in worst],
        high=[None if row.high is None else 100 * row.high for row in worst],
        tips=[f"{row.name}: {with_interval(row.share, row.low, row.high)} of {row.count:,}" for row in worst],
    )
    ticks = [(place, short(row.name)) for place, row in enumerate(worst)]
    return Figure(
        x=Axis(low=0, high=101, ticks=round_ticks(0, 100), title="correct, %"),
        y=Axis(low=len(worst) - 0.5, high=-0.5, ticks=ticks, has_grid=False),
        series=[bars],
        intervals="bars",
        table=FigureTable(columns=("class", "images", "correct, %", "from", "to"), rows=table),
        has_legend=False,
        width=1036,
        height=AROUND_BARS_PX + BAR_PX * len(worst),
        gist=f"lowest {worst[0].name} with {percent(worst[0].share)} %, highest {ordered[-1].name} with "
        f"{percent(ordered[-1].share)} %",
    )


def rounded(values: Any) -> list[float]:
    """Five significant digits: a page of curves stays small."""
    return [float(f"{value:.5g}") for value in values]


def _spread(count: int, most: int) -> list[int]:
    """At most so many of the places 0 to count - 1, evenly spread, the first and the last among them."""
    return [int(at) for at in np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))]


def _per_cent(share: int | float | None) -> float | None:
    return None if share is None else round(100.0 * share, 2)


def _gist(values: Sequence[int | float], unit: str) -> str:
    return f"from {decimal(values[0])} to {decimal(values[-1])} {unit}".strip()
