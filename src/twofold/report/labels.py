"""How many labels a measurement had: its place on an axis and in a table."""

from collections.abc import Iterable

from twofold.evaluation.labels import Labels
from twofold.report.content import Details, Measurement

ASIDE = ("top5", "ece")  # for information: never the main figure, never marked as best


def mean_labels_per_class(labels: Labels, details: Details | None) -> float | None:
    """Labels per class, the mean over the classes; None where the run does not tell."""
    if isinstance(labels, int):
        return float(labels)
    if details is None:
        return None
    every = details.train / len(details.classes) if details.train and details.classes else None
    share = 1.0 if labels == "all" else labels if isinstance(labels, float) else None
    told = details.labels_per_class.get(str(labels))
    return told if told is not None else every * share if every and share else None


def many_first(labels: Labels, details: Details | None) -> tuple[int, float, float]:
    """A key to sort by: all labels first, then from many to few; a fraction of unknown size comes before counts."""
    if labels == "all":
        return (0, 0.0, 0.0)
    known = mean_labels_per_class(labels, details)
    fraction = labels if isinstance(labels, float) else 0.0
    return (1, 0.0, -fraction) if known is None else (2, -known, -fraction)


def accuracies(rows: Iterable[Measurement]) -> list[Measurement]:
    """The rows that measure accuracy."""
    return [row for row in rows if row.metric not in ASIDE]


def main_metric(rows: list[Measurement]) -> str:
    """Top-1 where it was measured, else the first metric that there is."""
    metrics = [row.metric for row in accuracies(rows)]
    return "top1" if "top1" in metrics or not metrics else metrics[0]
