"""The table of measurements: rows are protocol and labels, columns the trained encoder and its baselines."""

from dataclasses import dataclass

from twofold.report.charts import protocols_of
from twofold.report.read import Measurement
from twofold.report.wording import ENCODERS, METRICS, PROTOCOLS, interval, labels_name, percent


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A mean and its 95 % interval as text, in per cent; `best` marks the largest mean of the row."""

    mean: str
    interval: str
    best: bool


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """A line of the table; a cell is None where nothing was measured."""

    protocol: str
    labels: str
    metric: str
    seeds: int
    cells: list[Cell | None]


def columns_of(rows: list[Measurement]) -> list[str]:
    """The encoders of the rows: trained, untrained, pixels, then others as they come."""
    present = {row.encoder for row in rows}
    return [name for name in dict.fromkeys([*ENCODERS, *(row.encoder for row in rows)]) if name in present]


def column_names(rows: list[Measurement]) -> list[str]:
    """The columns' headings."""
    return [ENCODERS.get(name, name) for name in columns_of(rows)]


def build_table(rows: list[Measurement]) -> list[TableRow]:
    """Linear probe first, all labels first, then from many labels to few.

    Mean accuracy per class is shown where it differs from top-1: where classes differ in size.
    """
    protocols = protocols_of(rows)
    keys = sorted(
        {(row.protocol, row.labels, row.metric) for row in rows},
        key=lambda key: (protocols.index(key[0]), -_many(key[1]), key[2]),
    )
    return [_table_row(rows, key) for key in keys if not _repeats_top1(rows, key)]


def _repeats_top1(rows: list[Measurement], key: tuple[str, int | str, str]) -> bool:
    """Whether a line of another metric would show the figures of top-1 again."""
    protocol, labels, metric = key
    means = {(r.metric, r.encoder): r.mean for r in rows if (r.protocol, r.labels) == (protocol, labels)}
    return metric != "top1" and all(
        abs(mean - means.get(("top1", encoder), -1.0)) < 1e-3
        for (name, encoder), mean in means.items()
        if name == metric
    )


def find(rows: list[Measurement], protocol: str, encoder: str, labels: int | str) -> Measurement | None:
    """The first row with these keys."""
    keys = (protocol, encoder, labels)
    return next((row for row in rows if (row.protocol, row.encoder, row.labels) == keys), None)


def _many(labels: int | str) -> float:
    return float(labels) if isinstance(labels, int) else float("inf")


def _table_row(rows: list[Measurement], key: tuple[str, int | str, str]) -> TableRow:
    line = {row.encoder: row for row in rows if (row.protocol, row.labels, row.metric) == key}
    best = max(row.mean for row in line.values())
    return TableRow(
        protocol=PROTOCOLS.get(key[0], key[0]),
        labels=labels_name(key[1]),
        metric=METRICS.get(key[2], key[2]),
        seeds=max(row.seeds for row in line.values()),
        cells=[_cell(line.get(encoder), best) for encoder in columns_of(rows)],
    )


def _cell(row: Measurement | None, best: float) -> Cell | None:
    if row is None:
        return None
    return Cell(mean=percent(row.mean), interval=interval(row.low, row.high), best=row.mean == best)
