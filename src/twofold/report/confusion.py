"""Which classes are taken for which."""

from typing import Any

import numpy as np

from twofold.report.charts import short
from twofold.report.content import Details
from twofold.report.figure import Axis, Cell, Figure, FigureTable

CELL_TEXT_CLASSES = 12
MATRIX_TICKS = 30


def confusion_matrix(details: Details) -> Figure | None:
    """Rows truth, columns predicted: the share of the true class as colour. None where not recorded.

    Only cells that hold an image are drawn; the table has a row for each of them.
    """
    if not details.confusion:
        return None
    counts, names = np.array(details.confusion), details.classes
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    held = [(int(row), int(column)) for row, column in np.argwhere(counts)]
    cells = [
        Cell(
            column=column,
            row=row,
            strength=float(share[row, column]),
            text=f"{100 * share[row, column]:.0f}"
            if len(names) <= CELL_TEXT_CLASSES and share[row, column] > 0.005
            else "",
            tip=f"{names[row]}, taken for {names[column]}: {counts[row, column]:,} of {counts[row].sum():,} images, "
            f"{100 * share[row, column]:.1f} %",
        )
        for row, column in held
    ]
    ticks = [(n, short(names[n])) for n in range(0, len(names), -(-len(names) // MATRIX_TICKS))]
    table = [(names[r], names[c], int(counts[r, c]), round(100 * float(share[r, c]), 2)) for r, c in held]
    return Figure(
        x=Axis(low=-0.5, high=len(names) - 0.5, ticks=ticks, title="predicted", has_grid=False),
        y=Axis(low=len(names) - 0.5, high=-0.5, ticks=ticks, title="true class", has_grid=False),
        cells=cells,
        table=FigureTable(columns=("true class", "predicted", "images", "of the true class, %"), rows=table),
        has_legend=False,
        is_square=True,
        width=630,
        height=600,
        gist=f"{100 * counts.trace() / max(counts.sum(), 1):.1f} % of all lie on the diagonal",
    )


def most_confused(details: Details, count: int = 5) -> list[dict[str, Any]]:
    """The largest shares off the diagonal: {"truth", "predicted", "share" (fraction), "count"}, largest first."""
    pairs: list[dict[str, Any]] = [
        {"truth": details.classes[row], "predicted": details.classes[column], "share": n / sum(line), "count": n}
        for row, line in enumerate(details.confusion)
        for column, n in enumerate(line)
        if n and row != column
    ]
    return sorted(pairs, key=lambda pair: -pair["share"])[:count]
