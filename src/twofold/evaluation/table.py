"""What an evaluation says: rows of numbers, as JSON and as a table for people."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from twofold.evaluation.metrics import binomial_half_width

ENCODERS = ("trained", "untrained", "pixels")
PROTOCOLS = {"linear": "linear probe", "knn": "k-NN"}
INTERVALS = (
    "with all labels it covers the draw of the selection split (± 0.0: it changed no choice), with few labels that of "
    "the labelled pictures, untrained that of the weights; not training again, not other test pictures"
)
_METRICS = {"top1": "top-1", "mean_per_class": "mean per class"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure: mean and 95 % interval over seeds, as fractions in [0, 1]; no interval where there is one seed.

    `seeds` counts the draws that the interval is over: for an untrained encoder, its sets of weights.
    """

    protocol: str  # knn | linear
    encoder: str  # trained | untrained | pixels
    labels: int | str  # labels per class, or "all"
    metric: str  # top1 | mean_per_class
    mean: float
    low: float | None
    high: float | None
    seeds: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an interval that does not exist is null."""
        return dataclasses.asdict(self)


def results_table(rows: Sequence[Row], test: int | None = None) -> Table:
    """The rows as a table in percent, grouped by labels, the encoders side by side.

    Mean per class is shown where it differs from top-1, that is where the classes of the test split differ in size.
    With the number of `test` pictures, the caption says how much of the figures is the luck of the test split.
    """
    table = Table(title="Accuracy on the test split, %", title_justify="left", caption_justify="left")
    table.caption = "\n".join([f"mean ± half width of the 95 % interval; {INTERVALS}", *_luck(rows, test)])
    table.add_column("labels")
    table.add_column("protocol")
    table.add_column("metric")
    for encoder in ENCODERS:
        table.add_column(encoder, justify="right")
    cells = {(row.labels, row.protocol, row.metric, row.encoder): row for row in rows}
    for labels in dict.fromkeys(row.labels for row in rows):
        table.add_section()
        shown = "all" if labels == "all" else f"{labels} per class"
        for protocol, metric in _lines(labels, cells):
            values = [_cell(cells.get((labels, protocol, metric, encoder))) for encoder in ENCODERS]
            table.add_row(shown, PROTOCOLS[protocol], _METRICS[metric], *values)
            shown = ""
    return table


def luck_of_the_test_split(rows: Sequence[Row], test: int) -> str:
    """A sentence on the binomial spread of `test` pictures at the trained encoder's linear top-1 with all labels.

    Raises KeyError where `rows` lack that figure.
    """
    means = {(row.encoder, row.protocol, row.labels, row.metric): row.mean for row in rows}
    half = binomial_half_width(means["trained", "linear", "all", "top1"], test)
    return f"one test set of {test:,} pictures alone leaves ± {100 * half:.1f} points"


def _luck(rows: Sequence[Row], test: int | None) -> list[str]:
    return [] if test is None else [luck_of_the_test_split(rows, test)]


def _lines(labels: int | str, cells: dict[tuple[int | str, str, str, str], Row]) -> list[tuple[str, str]]:
    lines = []
    for protocol in PROTOCOLS:
        means = {
            metric: [cell.mean if (cell := cells.get((labels, protocol, metric, e))) else None for e in ENCODERS]
            for metric in _METRICS
        }
        if any(mean is not None for mean in means["top1"]):
            lines.append((protocol, "top1"))
        differs = any(
            a is None or abs(a - b) > 1e-9
            for a, b in zip(means["top1"], means["mean_per_class"], strict=True)
            if b is not None
        )
        if differs:
            lines.append((protocol, "mean_per_class"))
    return lines


def _cell(row: Row | None) -> str:
    if row is None:
        return "-"
    if row.low is None or row.high is None:
        return f"{100 * row.mean:.1f} ± -"
    half = max(row.high - row.mean, row.mean - row.low)  # one of the two may be clipped at 0 or 1
    return f"{100 * row.mean:.1f} ± {100 * half:.1f}"
