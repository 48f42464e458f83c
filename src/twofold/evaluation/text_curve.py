"""Accuracy against labels per class, drawn with letters for a terminal."""

from collections.abc import Mapping, Sequence

from twofold.evaluation.attempt import Labels
from twofold.evaluation.table import Row

LETTERS = {  # (protocol, encoder) -> letter, name; the first of those that fall on one place is shown
    ("finetune", "trained"): ("F", "fine-tuned"),
    ("linear", "trained"): ("L", "linear on h"),
    ("supervised", "untrained"): ("S", "from scratch"),
    ("sgd", "trained"): ("G", "linear by SGD"),
    ("knn", "trained"): ("K", "k-NN on h"),
    ("linear", "pixels"): ("p", "linear on pixels"),
    ("linear", "untrained"): ("u", "linear, untrained"),
}
HEIGHT = 14
WIDTH = 12  # of a budget's column


def text_curve(rows: Sequence[Row], per_class: Mapping[str, float]) -> list[str]:
    """Lines of text: top-1 in per cent upwards, budgets from few labels to many, a letter a way of measuring.

    `per_class` maps str(labels) to labels per class. Nothing where there are fewer than two budgets. Letters of one
    budget at the same height stand side by side.
    """
    budgets = sorted({row.labels for row in rows}, key=lambda labels: per_class[str(labels)])
    shown = [row for row in rows if row.metric == "top1" and (row.protocol, row.encoder) in LETTERS]
    if len(budgets) < 2 or not shown:
        return []
    low, high = _scale([100 * row.mean for row in shown])
    cells = [["" for _ in budgets] for _ in range(HEIGHT)]
    for way, (letter, _) in LETTERS.items():
        for row in shown:
            if (row.protocol, row.encoder) == way:
                place = round((100 * row.mean - low) / (high - low) * (HEIGHT - 1))
                cells[HEIGHT - 1 - place][budgets.index(row.labels)] += letter
    lines = ["top-1 on test, %"]
    for place, line in enumerate(cells):
        value = high - place * (high - low) / (HEIGHT - 1)
        lines.append(f"{value:5.0f} |" + "".join(f"{cell:^{WIDTH}}" for cell in line).rstrip())
    lines.append("      +" + "-" * WIDTH * len(budgets))
    lines.append("       " + "".join(f"{_name(labels, per_class):^{WIDTH}}" for labels in budgets).rstrip())
    present = {(row.protocol, row.encoder) for row in shown}
    lines.append("       " + "  ".join(f"{letter} {name}" for way, (letter, name) in LETTERS.items() if way in present))
    return lines


def _scale(values: Sequence[float]) -> tuple[float, float]:
    """Tens that enclose the values."""
    low, high = 10 * (min(values) // 10), 10 * -(-max(values) // 10)
    return low, max(high, low + 10)


def _name(labels: Labels, per_class: Mapping[str, float]) -> str:
    count = f"{per_class[str(labels)]:,.0f}"
    if isinstance(labels, int):
        return f"{count} a class"
    return f"all ({count})" if labels == "all" else f"{100 * float(labels):g} % ({count})"
