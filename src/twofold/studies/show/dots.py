"""A dot with its interval for each row, a subplot a column; the paper's figure as a hollow diamond on the same axis."""

import math
from typing import Any

from twofold.studies.show.marks import ACCENT, SOFT, is_shown, plain, whiskers
from twofold.studies.show.places import Record, by_place, has_paper

ACROSS = 4
ROW_IN, FRAME_IN, LINE_IN = 0.3, 0.75, 0.15
LETTERS = 34  # of a line of a row's name


def height_in(panel: Record) -> float:
    """Inches of the panel."""
    stacked = math.ceil(len(panel["columns"]) / ACROSS)
    rows = sum(plain(row, LETTERS).count("\n") + 2 for row in panel["rows"]) / 2  # a second line takes half a row
    headings = max(plain(column, _letters(panel)).count("\n") for column in panel["columns"])
    return 0.65 + stacked * (FRAME_IN + ROW_IN * rows + LINE_IN * headings)


def draw(part: Any, panel: Record) -> None:
    """Columns beside each other, up to four in a line."""
    columns = panel["columns"]
    across = min(ACROSS, len(columns))
    axes = part.subplots(math.ceil(len(columns) / across), across, squeeze=False, sharey=True)
    for axis in axes.flat[len(columns) :]:
        axis.remove()
    for axis, column in zip(axes.flat, columns, strict=False):
        _draw_column(axis, panel, column)
        axis.set_title(plain(column, _letters(panel)))
        axis.set_xlabel(panel["unit"])
    for first in axes[:, 0]:
        first.set_yticks(range(len(panel["rows"])), [plain(row, LETTERS) for row in panel["rows"]])
        first.set_ylabel(plain(panel["row_title"], 60))
    axes[0, 0].set_ylim(len(panel["rows"]) - 0.5, -0.5)
    _draw_legend(part, panel)


def _letters(panel: Record) -> int:
    """Of a line of a column's name."""
    return 84 // min(ACROSS, len(panel["columns"]))


def _draw_column(axis: Any, panel: Record, column: str) -> None:
    places = by_place(panel)
    for at, row in enumerate(panel["rows"]):
        place = places.get((row, column))
        if place and is_shown(place, "paper"):
            axis.plot(place["paper"], at, "D", **_HOLLOW)
        if place and is_shown(place, "mean"):
            axis.errorbar(place["mean"], at, xerr=[[side] for side in whiskers(place)], **_SOLID)
    axis.tick_params(axis="y", length=0)
    axis.margins(x=0.1)
    axis.grid()
    axis.locator_params(axis="x", nbins=5 if len(panel["columns"]) < 3 else 4)
    if not axis.lines:
        axis.set_xticks([])


def _draw_legend(part: Any, panel: Record) -> None:
    from matplotlib.lines import Line2D

    has_intervals = any(place["low"] is not None for place in panel["places"])
    here = "here, with 95 % interval" if has_intervals else "here, one seed"
    handles = [Line2D([], [], linestyle="", marker="o", markersize=6, color=ACCENT, label=here)]
    if has_paper(panel):
        source = f": {panel['paper_source']}" if panel["paper_source"] else ""
        handles.append(Line2D([], [], linestyle="", marker="D", label=plain(f"the paper{source}", 80), **_HOLLOW))
    part.legend(handles=handles, loc="outside lower left", ncols=2)


_HOLLOW: dict[str, Any] = {"markersize": 6, "markerfacecolor": "white", "markeredgecolor": SOFT, "markeredgewidth": 1.2}
_SOLID: dict[str, Any] = {"fmt": "o", "markersize": 6, "color": ACCENT, "capsize": 3, "elinewidth": 1.6}
