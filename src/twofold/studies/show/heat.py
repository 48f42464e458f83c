"""A matrix of results as a heat map, the paper's beside it."""

from typing import Any

import numpy as np

from twofold.studies.show.marks import EMPTY, INK, axis_title, is_shown, plain
from twofold.studies.show.places import Record, by_place, has_paper, is_measured
from twofold.studies.show.wording import number, printed

ROW_IN, FRAME_IN = 0.42, 1.25
COLOURS = "viridis"


def height_in(panel: Record) -> float:
    """Inches of the panel."""
    return FRAME_IN + ROW_IN * len(panel["rows"])


def draw(part: Any, panel: Record) -> None:
    """Each map has its own scale of colours: the pattern is compared, the numbers are written in the places."""
    keys = [key for key, there in (("mean", is_measured(panel)), ("paper", has_paper(panel))) if there]
    axes = part.subplots(1, len(keys), squeeze=False, sharey=True)[0]
    for axis, key in zip(axes, keys, strict=True):
        _draw_map(axis, panel, key, letters=max(7, 64 // len(keys) // len(panel["columns"])))
        axis.set_title(axis_title(panel, key, 116 // len(keys)))
        axis.set_xlabel(plain(panel["column_title"], 60))
    axes[0].set_ylabel(plain(panel["row_title"], 60))
    axes[0].set_yticks(range(len(panel["rows"])), [plain(row) for row in panel["rows"]])


def _draw_map(axis: Any, panel: Record, key: str, letters: int) -> None:
    from matplotlib import colormaps

    values = _matrix(panel, key)
    columns = [plain(column, letters) for column in panel["columns"]]
    shades = colormaps[COLOURS].with_extremes(bad=EMPTY)
    image = axis.imshow(np.ma.masked_invalid(values), cmap=shades, aspect="auto", interpolation="none")
    axis.set_xticks(range(len(columns)), columns)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axis.set_yticks(np.arange(len(panel["rows"]) + 1) - 0.5, minor=True)
    axis.grid(which="minor", color="white", linewidth=1.5)
    axis.tick_params(which="minor", length=0)
    for row, column in np.argwhere(np.isfinite(values)):
        value = float(values[row, column])
        text = number(value, panel["unit"]) if key == "mean" else printed(value)
        axis.text(column, row, text, ha="center", va="center", fontsize=8.5, color=_ink_on(image.to_rgba(value)))
    for row, column in _diagonal(panel):
        _outline(axis, row, column)


def _matrix(panel: Record, key: str) -> np.ndarray:
    """Rows x columns; nan where nothing is."""
    places = by_place(panel)
    found = [[places.get((row, column)) for column in panel["columns"]] for row in panel["rows"]]
    return np.array([[place[key] if place and is_shown(place, key) else np.nan for place in row] for row in found])


def _diagonal(panel: Record) -> list[tuple[int, int]]:
    """The places whose row and column are called the same: one thing alone instead of a pair."""
    columns = panel["columns"]
    return [(place, columns.index(row)) for place, row in enumerate(panel["rows"]) if row in columns]


def _outline(axis: Any, row: int, column: int) -> None:
    from matplotlib.patches import Rectangle

    for colour, width in (("white", 2.4), (INK, 1.0)):
        corner = (column - 0.44, row - 0.44)
        axis.add_patch(Rectangle(corner, 0.88, 0.88, fill=False, edgecolor=colour, linewidth=width))


def _ink_on(colour: tuple[float, ...]) -> str:
    """White on dark places, black on bright ones, by the luminance that screens give."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "white" if luminance < 0.18 else "black"
