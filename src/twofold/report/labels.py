"""How many labels a measurement had: its place on an axis and in a table."""

from collections.abc import Iterable

from twofold.evaluation.labels import Labels
from twofold.evaluation.protocols import METRICS
from twofold.report.content import Details, Measurement

ASIDE = tuple(
    name for name in METRICS if name not in ("top1", "mean_per_class")
)  # for information: never the main figure, never marked as best


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
    """The first accuracy that was measured: the leading one; top-1 where there is none."""
    return next((row.metric for row in accuracies(rows)), "top1")
