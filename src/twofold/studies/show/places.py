"""A panel with its results as plain values: what JSON holds, and what tables, figures and pages are made from."""

from typing import Any

from twofold.studies.engine.panel import Panel
from twofold.studies.engine.results import Results
from twofold.studies.engine.spread import cell_interval

Record = dict[str, Any]


def panel_record(panel: Panel, results: Results) -> Record:
    """The panel with what was found so far; mean, low and high are in the panel's unit, as the paper's figures are.

    A place that nothing was measured for yet has the mean None, one of a single seed has no low and high. `over` is
    what the interval covers, `failed` the number of seeds with which nothing was learnt: they are in no mean.
    """
    filled = [
        (row, column)
        for row in panel.rows
        for column in panel.columns
        if (row, column) in panel.entries or (row, column) in panel.paper
    ]
    return {
        "title": panel.title,
        "rows": list(panel.rows),
        "columns": list(panel.columns),
        "kind": panel.kind,
        "unit": panel.unit,
        "row_title": panel.row_title,
        "column_title": panel.column_title,
        "paper_source": panel.paper_source,
        "places": [_place(panel, results, row, column) for row, column in filled],
    }


def by_place(panel: Record) -> dict[tuple[str, str], Record]:
    """The places of a panel's record by (row, column); those that hold nothing are left out."""
    return {(place["row"], place["column"]): place for place in panel["places"]}


def has_paper(panel: Record) -> bool:
    """Whether the paper's own figures stand beside."""
    return any(place["paper"] is not None for place in panel["places"])


def is_measured(panel: Record) -> bool:
    """Whether anything was measured yet."""
    return any(place["mean"] is not None for place in panel["places"])


def _place(panel: Panel, results: Results, row: str, column: str) -> Record:
    name, metric = panel.entries.get((row, column), ("", ""))
    seeds = results.seeds(name, metric)
    (mean, low, high), over = cell_interval(name, metric, results) if seeds else ((None, None, None), "")
    return {
        "row": row,
        "column": column,
        "mean": _scaled(mean, panel),
        "low": _scaled(low, panel),
        "high": _scaled(high, panel),
        "seeds": len(seeds),
        "over": over,
        "failed": len(results.failed(name)),
        "paper": panel.paper.get((row, column)),
    }


def _scaled(value: float | None, panel: Panel) -> float | None:
    return None if value is None else panel.factor * value
