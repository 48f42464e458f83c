"""What a figure shows, before it is drawn: axes, series of points, and the table behind them."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Number = int | float
TABLE_ROWS = 60  # of the table on the page; the CSV file holds every row


@dataclass(frozen=True, kw_only=True)
class Axis:
    """From `low` to `high` in the data's unit; low above high turns the axis around.

    `ticks` are (value, text); each line of a text is a line on the page.
    """

    low: Number
    high: Number
    ticks: Sequence[tuple[Number, str]] = ()
    title: str = ""
    is_log: bool = False
    has_grid: bool = True

    def place(self, value: Number) -> float:
        """0 at `low`, 1 at `high`; equal bounds put everything in the middle."""
        low, high, at = (
            (math.log10(v) for v in (self.low, self.high, value)) if self.is_log else (self.low, self.high, value)
        )
        return float((at - low) / (high - low)) if high != low else 0.5


@dataclass(frozen=True, kw_only=True)
class Series:
    """Points of one kind. `low` and `high` are the bounds of the 95 % interval, None where there is none.

    `colour` is a variable of the style sheet without its dashes. `dash` joins the points by a line, `symbol` marks
    each. `tips` are shown under the pointer, `images` are numbers of the gallery's images in place of them.
    """

    name: str
    x: Sequence[Number]
    y: Sequence[Number]
    colour: str = "accent"
    dash: str = ""
    width: Number = 2.2
    symbol: str = ""
    size: Number = 9.0
    opacity: Number = 1.0
    low: Sequence[Number | None] = ()
    high: Sequence[Number | None] = ()
    tips: Sequence[str] = ()
    images: Sequence[int] = ()


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A square of a matrix: its column and row, how strong its colour is in [0, 1], its text, and its tip."""

    column: int
    row: int
    strength: Number
    text: str
    tip: str


@dataclass(frozen=True, kw_only=True)
class FigureTable:
    """The figures behind a drawing."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    @property
    def shown(self) -> list[Sequence[Any]]:
        """At most 60 rows, evenly spread, the first and the last among them."""
        kept = np.unique(np.linspace(0, len(self.rows) - 1, min(len(self.rows), TABLE_ROWS)).round().astype(int))
        return [self.rows[row] for row in kept]

    @property
    def csv(self) -> bytes:
        """All rows as CSV, UTF-8; None becomes an empty field."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.columns, *self.rows])
        return text.getvalue().encode()


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Axes and what lies on them, `width` and `height` in px at full size.

    `intervals` are drawn as a "band" along x or as "whiskers" of x; "bars" are whiskers on bars from 0. `strips` are
    (x, tip): upright strips of the whole height that answer the pointer. `notes` are texts at a place, `rules` the y of
    lines across, `gist` is what somebody who cannot see the figure is told.
    """

    x: Axis
    y: Axis
    table: FigureTable
    series: Sequence[Series] = ()
    cells: Sequence[Cell] = ()
    notes: Sequence[tuple[Number, Number, str]] = ()
    rules: Sequence[Number] = ()
    strips: Sequence[tuple[Number, str]] = ()
    intervals: str = "band"
    has_legend: bool = True
    is_square: bool = False
    width: int = 520
    height: int = 300
    gist: str = ""


def round_ticks(low: Number, high: Number, count: int = 5) -> list[tuple[Number, str]]:
    """About `count` values between low and high at steps of 1, 2, 2.5 or 5 times a power of ten, with their texts."""
    if not high > low:
        return [(low, f"{low:.4g}")]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((power * part for part in (1, 2, 2.5, 5, 10)), key=lambda found: abs(found - rough))
    places = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return [(place * step, f"{place * step:.6g}".replace("-", "\u2212")) for place in places]


def linear_axis(values: Sequence[Number], title: str, *, from_zero: bool = False, count: int = 5) -> Axis:
    """An axis that holds the values with 5 % of room on either side; from_zero: it begins at 0, without room there."""
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    low = min(0.0, low) if from_zero else low - room
    return Axis(low=low, high=high + room, ticks=round_ticks(low, high + room, count), title=title)
