"""The labelled images of a study: on which rows a probe is fitted, and on which it is counted."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from twofold.data import ImageSet, label_fraction
from twofold.evaluation import measured_rows, read_truth
from twofold.evaluation.labels import cut_selection
from twofold.recipes.recipe import DataRecipe


@dataclass(frozen=True, kw_only=True)
class Split:
    """Rows to fit on with their class numbers, and rows to count on with theirs."""

    rows: Int64[np.ndarray, " n"]
    ids: Int64[np.ndarray, " n"]
    asked: Int64[np.ndarray, " m"]
    truth: Int64[np.ndarray, " m"]
    classes: int

    def few(self, fraction: float, seed: int) -> "Split":
        """The same with a share of the labels of each class, drawn by `seed`."""
        own = label_fraction(self.ids, fraction, seed)
        return Split(rows=self.rows[own], ids=self.ids[own], asked=self.asked, truth=self.truth, classes=self.classes)


def split_rows(images: ImageSet, data: DataRecipe, on: str) -> Split:
    """Train and test; or, on "selection", what is left of train when `data.selection_fraction` is cut off, and that.

    Raises TwofoldError for images without labels or without a test split.
    """
    labels = measured_rows(images)
    if on == "test":
        return Split(
            rows=labels.train,
            ids=labels.train_ids,
            asked=labels.test,
            truth=read_truth(images, labels),
            classes=len(labels.classes),
        )
    kept, cut = cut_selection(images, labels.train, data.selection_fraction, data.data_seed)
    return Split(
        rows=labels.train[kept],
        ids=labels.train_ids[kept],
        asked=labels.train[cut],
        truth=labels.train_ids[cut],
        classes=len(labels.classes),
    )


def at_most(split: Split, labels: int | None) -> Split:
    """The same with at most about so many labelled images to fit on: a share of each class, always the same."""
    if labels is None or labels >= len(split.rows):
        return split
    return split.few(labels / len(split.rows), 0)
