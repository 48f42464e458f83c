"""What an evaluation says: rows of numbers, as JSON and as a table for people."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from twofold.evaluation.attempt import Labels
from twofold.evaluation.metrics import binomial_half_width

ENCODERS = ("trained", "untrained", "pixels")
PROTOCOLS = {
    "linear": "linear probe",
    "sgd": "linear, SGD on views",
    "finetune": "fine-tuned",
    "supervised": "from scratch",
    "knn": "k-NN",
}
INTERVALS = (
    "with all labels it covers the draw of the selection split (± 0.0: it changed no choice), with few labels that of "
    "the labelled pictures, untrained that of the weights; not pretraining again, not other test pictures"
)
_METRICS = {"top1": "top-1", "mean_per_class": "mean per class"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure: mean and 95 % interval over seeds, as fractions in [0, 1]; no interval where there is one seed.

    `seeds` counts the draws that the interval is over: for an untrained encoder, its sets of weights.
    """

    protocol: str  # knn | linear | sgd | finetune | supervised
    encoder: str  # trained | untrained | pixels, or a layer of the head: head-1, ..., z
    labels: Labels
    metric: str  # top1 | top5 | mean_per_class | ece
    mean: float
    low: float | None
    high: float | None
    seeds: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an interval that does not exist is null."""
        return dataclasses.asdict(self)


def results_table(rows: Sequence[Row], test: int | None = None, note: str | None = None) -> Table:
    """The rows as a table in percent, grouped by labels, the encoders side by side.

    Mean per class is shown where it differs from top-1, that is where the classes of the test split differ in size.
    With the number of `test` pictures, the caption says how much of the figures is the luck of the test split; `note`
    is put before that.
    """
    table = Table(title="Accuracy on the test split, %", title_justify="left", caption_justify="left")
    table.caption = "\n".join(
        [f"mean ± half width of the 95 % interval; {INTERVALS}", *([note] if note else []), *_luck(rows, test)]
    )
    for heading in ("labels", "protocol", "metric"):
        table.add_column(heading)
    for encoder in ENCODERS:
        table.add_column(encoder, justify="right")
    for labels in dict.fromkeys(row.labels for row in rows):
        table.add_section()
        shown = _labels(labels)
        for protocol, metric, cells in _lines([row for row in rows if row.labels == labels]):
            table.add_row(shown, protocol, metric, *(_cell(cells.get(encoder)) for encoder in ENCODERS))
            shown = ""
    return table


def luck_of_the_test_split(rows: Sequence[Row], test: int) -> str:
    """A sentence on the binomial spread of `test` pictures at the trained encoder's main top-1, linear where there is.

    Where only a baseline was measured, it is that one's.
    """
    top1 = [row for row in rows if row.metric == "top1"]
    mine = [row for row in top1 if row.encoder == "trained"]
    main = min(mine or top1, key=lambda row: (row.labels != "all", row.protocol != "linear"))
    half = binomial_half_width(main.mean, test)
    return f"one test set of {test:,} pictures alone leaves ± {100 * half:.1f} points"


def _luck(rows: Sequence[Row], test: int | None) -> list[str]:
    return [] if test is None else [luck_of_the_test_split(rows, test)]


def _labels(labels: Labels) -> str:
    if isinstance(labels, int):
        return f"{labels} per class"
    return "all" if labels == "all" else f"{100 * float(labels):g} %"


def _lines(rows: Sequence[Row]) -> list[tuple[str, str, dict[str, Row]]]:
    """(protocol, metric, cells by encoder) of one budget; a layer of the head is a line of its own."""
    found: dict[str, dict[str, dict[str, Row]]] = {}
    for row in rows:
        inner = row.encoder not in ENCODERS
        name = f"{PROTOCOLS[row.protocol]} on {row.encoder}" if inner else PROTOCOLS[row.protocol]
        found.setdefault(name, {}).setdefault(row.metric, {})["trained" if inner else row.encoder] = row
    lines = []
    for name, metrics in found.items():
        lines.append((name, _METRICS["top1"], metrics["top1"]))
        balanced = metrics.get("mean_per_class", {})
        if any(abs(row.mean - metrics["top1"][encoder].mean) > 1e-9 for encoder, row in balanced.items()):
            lines.append((name, _METRICS["mean_per_class"], balanced))
    return lines


def _cell(row: Row | None) -> str:
    if row is None:
        return "-"
    if row.low is None or row.high is None:
        return f"{100 * row.mean:.1f} ± -"
    half = max(row.high - row.mean, row.mean - row.low)  # one of the two may be clipped at 0 or 1
    return f"{100 * row.mean:.1f} ± {100 * half:.1f}"
