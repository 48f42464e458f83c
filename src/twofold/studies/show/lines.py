"""Results along an axis, a line a row; the paper's lines in a smaller axis beside, for their scale is another."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from twofold.studies.show.marks import LINES, MARKERS, axis_title, is_shown, plain, whiskers
from twofold.studies.show.places import Record, by_place, has_paper, is_measured

LOG_FROM = 8.0  # numbers that span more than this factor stand on an axis of powers of two
LEGEND_ACROSS = 4
SHARES = {"mean": 0.62, "paper": 0.38}  # of the width
APART_PT = 2.5  # lines are drawn this far beside each other, so that no interval hides another


def height_in(panel: Record) -> float:
    """Inches of the panel."""
    return 2.9 + 0.2 * math.ceil(len(panel["rows"]) / LEGEND_ACROSS)


def draw(part: Any, panel: Record) -> None:
    """The measured lines with their 95 % intervals, the paper's dotted; a row has one colour and marker in both."""
    keys = [key for key, there in (("mean", is_measured(panel)), ("paper", has_paper(panel))) if there]
    widths = [SHARES[key] if len(keys) > 1 else 1.0 for key in keys]
    axes = part.subplots(1, len(keys), squeeze=False, width_ratios=widths)[0]
    for axis, key, width in zip(axes, keys, widths, strict=True):
        letters = int(96 * width)
        _draw_axis(axis, panel, key, letters=max(7, letters // len(panel["columns"])))
        axis.set_title(axis_title(panel, key, letters))
    axes[0].set_ylabel(panel["unit"])
    handles, names = axes[0].get_legend_handles_labels()
    if len(names) > 1 or any(names):
        part.legend(handles, names, loc="outside lower left", ncols=LEGEND_ACROSS, handlelength=3.2)


def column_places(columns: Sequence[str]) -> tuple[list[float], bool]:
    """Where the columns stand, and whether on an axis of powers of two: at their numbers if all of them are numbers.

    "1/2" and "10 %" are numbers as well. Others stand side by side.
    """
    numbers = [_number(column) for column in columns]
    found = [value for value in numbers if value is not None]
    if len(found) < len(numbers) or len(set(found)) < len(found):
        return [float(place) for place in range(len(columns))], False
    return found, min(found, default=0.0) > 0 and max(found) / min(found) > LOG_FROM


def _draw_axis(axis: Any, panel: Record, key: str, letters: int) -> None:
    places, columns = by_place(panel), panel["columns"]
    x, is_log = column_places(columns)
    if is_log:
        axis.set_xscale("log", base=2)
    used = set()
    for line, row in enumerate(panel["rows"]):
        there = [at for at, column in enumerate(columns) if is_shown(places.get((row, column)), key)]
        there.sort(key=lambda at: x[at])
        used |= set(there)
        container = _draw_line(axis, [x[at] for at in there], [places[row, columns[at]] for at in there], key, line)
        container.set_label(plain(row, 40))
        if key == "mean":
            _move(axis, container, APART_PT * (line - (len(panel["rows"]) - 1) / 2))
    ticks = sorted(used)
    axis.set_xticks([x[at] for at in ticks], [plain(columns[at], letters) for at in ticks])
    axis.minorticks_off()
    axis.tick_params(axis="y", length=0)
    axis.margins(x=0.06, y=0.12)
    axis.grid(axis="y")
    axis.set_xlabel(plain(panel["column_title"], 60))


def _draw_line(axis: Any, x: list[float], places: list[Record], key: str, line: int) -> Any:
    values = [place[key] for place in places]
    reach = list(zip(*map(whiskers, places), strict=True)) if key == "mean" and places else None
    return axis.errorbar(x, values, yerr=reach, markersize=4.5, capsize=2.5, **_look(line, key))


def _move(axis: Any, container: Any, right_pt: float) -> None:
    """To the side on paper; the axis keeps the limits that it has from the true places."""
    from matplotlib.transforms import ScaledTranslation

    beside = ScaledTranslation(right_pt / 72, 0, axis.get_figure(root=True).dpi_scale_trans)
    for artist in container.get_children():
        artist.set_transform(axis.transData + beside)


def _look(line: int, key: str) -> dict[str, Any]:
    colour, dash = LINES[line % len(LINES)]
    marker = MARKERS[line % len(MARKERS)]
    if key == "paper":
        faint = {"linestyle": (0, (1, 2)), "linewidth": 1.2, "markerfacecolor": "white", "alpha": 0.7}
        return {"color": colour, "marker": marker, **faint}
    return {"color": colour, "marker": marker, "linestyle": dash, "linewidth": 1.6}


def _number(text: str) -> float | None:
    try:
        return float(Fraction(text.replace(",", "").removesuffix("%").strip()))
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
