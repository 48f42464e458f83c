"""What an evaluation says in the terminal: a table of its rows, and accuracy against labels drawn with letters."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from twofold.evaluation.labels import Labels
from twofold.evaluation.protocols import (
    ENCODERS,
    INITIAL,
    MAJORITY,
    METRICS,
    PROTOCOLS,
    encoder_name,
    labels_name,
    way_name,
)
from twofold.evaluation.scores import Row
from twofold.evaluation.sentences import IN_FOLDS, INTERVALS

LETTERS = {  # (protocol, encoder) -> letter; the first of those that fall on one place is shown
    ("self-train", "trained"): "T",
    ("finetune", "trained"): "F",
    ("linear", "trained"): "L",
    ("supervised", "untrained"): "S",
    ("sgd", "trained"): "G",
    ("knn", "trained"): "K",
    ("linear", "pixels"): "p",
    ("linear", "untrained"): "u",
}
HEIGHT = 11  # ten steps between tens: every mark is a whole number
WIDTH = 12  # of a budget's column
_HEADINGS = {  # short, for a column
    "top1": "top-1",
    "mean_per_class": "mean per class",
    "macro_f1": "macro F1",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "sensitivity_90": "sens. at 90 % spec.",
    "sensitivity_95": "sens. at 95 % spec.",
    "sensitivity_99": "sens. at 99 % spec.",
}


def results_table(
    rows: Sequence[Row],
    note: str | None = None,
    *,
    cross_validated: bool = False,
    per_class: Mapping[str, float] | None = None,
    majority: Mapping[str, Any] | None = None,
) -> Table:
    """The rows as a table in percent, grouped by labels, the encoders side by side.

    Mean per class is shown where it differs from top-1, that is where the classes of the test split differ in size.
    The caption says what the intervals cover, then the `note`. `per_class` is what `text_curve` takes.
    Last comes `majority`, by metric: what always predicting the most frequent class gets, beside every encoder.
    """
    title = "Accuracy by cross-validation, %" if cross_validated else "Accuracy on the test split, %"
    table = Table(title=title, title_justify="left", caption_justify="left")
    covers = IN_FOLDS if cross_validated else INTERVALS
    caption = [f"mean ± the longer half of the 95 % interval; {covers}"]
    caption += [note] if note else []
    table.caption = "\n".join(caption)
    for heading in ("labels", "protocol", "metric"):
        table.add_column(heading)
    for encoder in ENCODERS:
        table.add_column(encoder, justify="right")
    headings: dict[str, None] = {}
    for labels in dict.fromkeys(row.labels for row in rows):
        table.add_section()
        shown = labels_name(labels, (per_class or {}).get(str(labels)))
        for protocol, metric, cells in _lines([row for row in rows if row.labels == labels]):
            table.add_row(shown, protocol, metric, *(_cell(cells.get(encoder)) for encoder in ENCODERS))
            shown, headings[metric] = "", None
    table.add_section()
    for metric, share in (majority or {}).items():
        if (name := _HEADINGS.get(metric, "")) in headings:
            table.add_row("", MAJORITY, name, *[f"{100 * share:.1f}"] * len(ENCODERS))
    return table


def text_curve(rows: Sequence[Row], per_class: Mapping[str, float]) -> list[str]:
    """Lines of text: the leading accuracy in per cent upwards, budgets from few labels to many, a letter for each way.

    `per_class` maps str(labels) to labels per class. Nothing where there are fewer than two budgets. Letters of one
    budget at the same height stand side by side.
    """
    budgets = sorted({row.labels for row in rows}, key=lambda labels: per_class[str(labels)])
    leading = rows[0].metric if rows else "top1"  # of each way it comes first
    shown = [row for row in rows if row.metric == leading and (row.protocol, row.encoder) in LETTERS]
    if len(budgets) < 2 or not shown:
        return []
    low, high = _scale([100 * row.mean for row in shown])
    cells = [["" for _ in budgets] for _ in range(HEIGHT)]
    for way, letter in LETTERS.items():
        for row in shown:
            if (row.protocol, row.encoder) == way:
                place = round((100 * row.mean - low) / (high - low) * (HEIGHT - 1))
                cells[HEIGHT - 1 - place][budgets.index(row.labels)] += letter
    lines = [f"{METRICS[leading]} on test, %"]
    for place, line in enumerate(cells):
        value = high - place * (high - low) / (HEIGHT - 1)
        lines.append(f"{value:5.0f} |" + "".join(f"{cell:^{WIDTH}}" for cell in line).rstrip())
    lines.append("      +" + "-" * WIDTH * len(budgets))
    lines.append("       " + "".join(f"{_name(labels, per_class):^{WIDTH}}" for labels in budgets).rstrip())
    present = {(row.protocol, row.encoder) for row in shown}
    return [*lines, *(f"       {letter}  {way_name(*way)}" for way, letter in LETTERS.items() if way in present)]


def _lines(rows: Sequence[Row]) -> list[tuple[str, str, dict[str, Row]]]:
    """(protocol, metric, cells by encoder) of one budget; other encoders and layers are lines of their own."""
    by_name: dict[str, dict[str, dict[str, Row]]] = {}
    for row in rows:
        inner = row.encoder not in ENCODERS
        shown = encoder_name(INITIAL) if row.encoder == INITIAL else row.encoder
        name = f"{PROTOCOLS[row.protocol]} on {shown}" if inner else PROTOCOLS[row.protocol]
        by_name.setdefault(name, {}).setdefault(row.metric, {})["trained" if inner else row.encoder] = row
    lines = []
    for name, metrics in by_name.items():
        balanced = metrics.get("mean_per_class", {})
        differs = any(abs(row.mean - metrics["top1"][encoder].mean) > 1e-9 for encoder, row in balanced.items())
        lines += [
            (name, heading, metrics[metric])
            for metric in metrics  # the leading one first
            if (heading := _HEADINGS.get(metric)) and (metric != "mean_per_class" or differs)
        ]
    return lines


def _cell(row: Row | None) -> str:
    if row is None:
        return "-"
    if row.low is None or row.high is None:
        return f"{100 * row.mean:.1f}"
    half = max(row.high - row.mean, row.mean - row.low)
    return f"{100 * row.mean:.1f} ± {100 * half:.1f}"


def _scale(values: Sequence[float]) -> tuple[float, float]:
    """Tens that enclose the values."""
    low, high = 10 * (min(values) // 10), 10 * -(-max(values) // 10)
    return low, max(high, low + 10)


def _name(labels: Labels, per_class: Mapping[str, float]) -> str:
    count = f"{per_class[str(labels)]:,.0f}"
    if isinstance(labels, int):
        return f"{count} a class"
    return f"all ({count})" if labels == "all" else f"{100 * float(labels):g} % ({count})"
