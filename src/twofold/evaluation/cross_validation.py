"""Repeated cross-validation: where few images have labels and none are for test, each is tested on in turn.

Every seed deals the labelled images to five folds anew. What is predicted for a fold was fitted on the others, so each
seed predicts every image once. Legend: n labelled images, m of them in a fold, k in the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median_low

import numpy as np
from jaxtyping import Int64

from twofold.data import ImageSet, Shared, count_shared
from twofold.data.splits import permutation
from twofold.evaluation.features import Features
from twofold.evaluation.labels import Fold, MeasuredRows, selection_folds, stratified_folds
from twofold.evaluation.predictions import Predictions
from twofold.recipes.recipe import DataRecipe


@dataclass(frozen=True, kw_only=True)
class Part:
    """One fold and what is fitted for it: `rows.test` is the fold, `rows.train` all other labelled images.

    `kept` and `cut` are the places of both among all labelled images; choices with all labels are made on `folds`,
    places within `rows.train`.
    """

    rows: MeasuredRows
    kept: Int64[np.ndarray, " k"]
    cut: Int64[np.ndarray, " m"]
    folds: list[Fold] = field(repr=False)

    def of(self, features: Features) -> Features:
        """The features of its train and test images, of those of all labelled images."""
        return Features(features.train[self.kept], features.test[self.cut])


def divide(images: ImageSet, rows: MeasuredRows, data: DataRecipe, seed: int) -> list[Part]:
    """Five parts, whose folds hold every one of `rows` (`pooled_rows`) once; a function of the seed.

    Each class is spread over the folds, and no group is divided. Fewer parts where no class has five images.
    """
    order = permutation(len(rows.train), seed + data.data_seed, 1)  # apart from the order behind choices
    dealt = stratified_folds(rows.train_ids[order], groups=rows.groups_of(order))
    parts = []
    for kept, cut in ((np.sort(order[kept]), np.sort(order[cut])) for kept, cut in dealt):
        own = replace(
            rows,
            train=rows.train[kept],
            train_ids=rows.train_ids[kept],
            test=rows.test[cut],
            groups=rows.groups_of(kept),
            test_groups=rows.groups_of(cut),
        )
        parts.append(Part(rows=own, kept=kept, cut=cut, folds=selection_folds(images, own, data, seed)))
    return parts


def out_of_fold(parts: Sequence[Part], predict: Callable[[Part], Predictions]) -> Predictions:
    """What `predict` says of each part's test images, as predictions for all images in their order.

    The weight decay and the learning rate are the middle ones of the parts.
    """
    made = [predict(part) for part in parts]
    order = np.argsort(np.concatenate([part.cut for part in parts]), kind="stable")
    l2, rates = ([getattr(one, name) for one in made] for name in ("l2", "base_lr"))
    return replace(
        made[0],
        ranked=np.concatenate([one.ranked for one in made])[order],
        confidence=np.concatenate([one.confidence for one in made])[order],
        l2=None if None in l2 else median_low(l2),
        base_lr=None if None in rates else median_low(rates),
        converged=all(one.converged for one in made),
    )


def fold_numbers(parts: Sequence[Part]) -> Int64[np.ndarray, " n"]:
    """For every labelled image the number of the fold that holds it."""
    numbers = np.empty(sum(len(part.cut) for part in parts), np.int64)
    for number, part in enumerate(parts):
        numbers[part.cut] = number
    return numbers


def count_shared_by_parts(images: ImageSet, rows: MeasuredRows, parts: Sequence[Part]) -> Shared:
    """`count_shared`: an image is also in train where a copy of it is in another fold."""
    within = [count_shared(images, part.rows.train, part.rows.test) for part in parts]
    all_of_them = count_shared(images, rows.train, rows.test[:0])
    return Shared(
        train=len(rows.train),
        test=len(rows.test),
        test_also_in_train=sum(one.test_also_in_train for one in within),
        conflicting_labels=all_of_them.conflicting_labels,
    )
