"""How many labels are given: all, a fraction of them, or some per class; nested for one seed."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from twofold.data import label_fraction, shots_per_class
from twofold.errors import TwofoldError
from twofold.evaluation.attempt import Labels
from twofold.evaluation.labelled import Labelled


def require_counts(seeds: int, few_seeds: int, shots: Sequence[int], fractions: Sequence[float]) -> None:
    """Raises TwofoldError for counts below 1 and fractions outside (0, 1]."""
    for name, value in (("seeds", seeds), ("few_seeds", few_seeds), *(("shots", count) for count in shots)):
        if value < 1:
            raise TwofoldError(f"{name} is {value}, but it must be at least 1. Change --{name.replace('_', '-')}.")
    for fraction in fractions:
        if not 0 < fraction <= 1:
            raise TwofoldError(
                f"label_fraction is {fraction:g}, but it must be above 0 and at most 1 (0.01 is 1 %). "
                "Change --label-fraction."
            )


def few_budgets(labelled: Labelled, shots: Sequence[int], fractions: Sequence[float]) -> tuple[list[Labels], list[str]]:
    """The budgets below "all" that the data allow, and a sentence for each count that they do not.

    A count of shots must be reached by every class. Counts come first, then fractions, each from few to many.
    """
    counts = np.bincount(labelled.train_ids, minlength=len(labelled.classes))
    smallest = int(counts.argmin())
    sentences = [
        f"{count} labels per class left out: the class '{labelled.classes[smallest]}' has {counts[smallest]} in train"
        for count in sorted(set(shots))
        if count > counts[smallest]
    ]
    possible: list[Labels] = [count for count in sorted(set(shots)) if count <= counts[smallest]]
    return [*possible, *sorted({float(fraction) for fraction in fractions} - {1.0})], sentences


def labelled_places(ids: Int64[np.ndarray, " n"], labels: Labels, seed: int) -> Int64[np.ndarray, " k"]:
    """Sorted places within `ids` whose labels are given: a function of the seed, nested from few to many."""
    if labels == "all":
        return np.arange(len(ids))
    if isinstance(labels, int):
        return shots_per_class(ids, labels, seed)
    assert isinstance(labels, float)
    return label_fraction(ids, labels, seed)


def labels_per_class(labelled: Labelled, labels: Labels) -> float:
    """The mean number of labels that a class has."""
    if isinstance(labels, int):
        return float(labels)
    return len(labelled_places(labelled.train_ids, labels, 0)) / len(labelled.classes)


def budget_name(labels: Labels) -> str:
    """For people: "all labels", "1 % of the labels", "5 labels per class"."""
    if isinstance(labels, int):
        return f"{labels} label{'' if labels == 1 else 's'} per class"
    return "all labels" if labels == "all" else f"{100 * float(labels):g} % of the labels"
