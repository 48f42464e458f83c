"""The labelled rows of an image set: which may be fitted on, and which are only counted at the end."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from twofold.data import NO_TEST_SPLIT, ImageSet, cut_fraction
from twofold.data.splits import permutation
from twofold.errors import TwofoldError
from twofold.evaluation.selection import Fold, stratified_folds
from twofold.recipes.recipe import DataRecipe

LEAST_SELECTION = 500  # an accuracy counted on fewer pictures is off by more than 2 points (standard error)


@dataclass(frozen=True)
class Labelled:
    """Row numbers of train and test, and the labels of train. The labels of test are not here."""

    classes: list[str]
    train: Int64[np.ndarray, " n"]
    train_ids: Int64[np.ndarray, " n"]  # 0 .. classes - 1
    test: Int64[np.ndarray, " m"]
    stated: list[str]


def find_labelled(images: ImageSet) -> Labelled:
    """The rows to measure on.

    Images without a label are left out, classes that train and test do not share, and classes of a single image where
    the test split was cut off by `load_images`, which can give them none; all are stated. Raises TwofoldError for data
    without labels or without a test split, and where train and test share fewer than two classes.
    """
    train, test = images.labelled_rows("train"), images.rows("test")
    _require_labels(images, train)
    known = np.array([images.labels[row] is not None for row in test], dtype=bool)
    stated: list[str] = []
    if _is_cut_here(images):
        train = _without_single(images, train, test, stated)
    if not known.all() and known.any():
        stated.append(f"{int((~known).sum()):,} test pictures without a label are left out")
    if not known.any():
        raise TwofoldError(
            f"the data '{images.name}' have {len(test):,} test pictures, none with a label, but accuracy is counted on "
            "test. Put labelled pictures into a test split: a folder test/ beside train/, or the column split of a CSV."
        )
    if unused := len(images.rows("validation")):
        stated.append(f"the {unused:,} pictures of the validation split are not used")
    if unlabelled := len(images.rows("train")) - len(images.labelled_rows("train")):
        stated.append(f"{unlabelled:,} train images without a label are not fitted on")
    classes = _shared_classes(images, train, test[known], stated)
    train, asked = (_of_classes(images, rows, classes) for rows in (train, test[known]))
    return Labelled(classes, train, _ids(images, train, classes), asked, stated)


def read_truth(images: ImageSet, labelled: Labelled) -> Int64[np.ndarray, " m"]:
    """The labels of the test rows, for counting what is right: to be called when everything is predicted."""
    return _ids(images, labelled.test, labelled.classes)


def selection_folds(images: ImageSet, labelled: Labelled, data: DataRecipe, seed: int) -> list[Fold]:
    """Pairs (kept, cut) of places within `labelled.train`, on whose cuts a choice is made; a function of the seed.

    One pair, `data.selection_fraction` of each class cut off; where that is under 500 pictures, on which no choice
    can rest, the five of a cross-validation. Raises TwofoldError where no class has two pictures.
    """
    seed += data.data_seed
    if not is_large(len(labelled.train), data):
        order = permutation(len(labelled.train), seed)
        folds = [(order[kept], order[cut]) for kept, cut in stratified_folds(labelled.train_ids[order])]
        if not folds:
            raise TwofoldError(
                f"the data '{images.name}' have 1 labelled train picture of each class, but evaluation needs 2 to "
                "choose on. Give more labelled pictures."
            )
        return folds
    keys = [images.paths[row] for row in labelled.train]
    names = [labelled.classes[label] for label in labelled.train_ids]
    return [cut_fraction(keys, data.selection_fraction, seed, labels=names)]


def is_large(count: int, data: DataRecipe) -> bool:
    """Whether the selection split of `count` train pictures is large enough to choose on."""
    return data.selection_fraction * count >= LEAST_SELECTION


def _require_labels(images: ImageSet, train: Int64[np.ndarray, " n"]) -> None:
    if images.is_labelled:
        return
    count, names = len(images.rows("train")), {images.labels[row] for row in train}
    found = f"{len(names)} class" if names else f"{count:,} of {count:,} train pictures without a label"
    raise TwofoldError(
        f"the data '{images.name}' have {found}, but evaluation needs labels of at least 2 classes. "
        "Put the pictures into one folder per class, or give a CSV with the columns path and label."
    )


def _is_cut_here(images: ImageSet) -> bool:
    return any(sentence.startswith(NO_TEST_SPLIT) for sentence in images.stated)


def _without_single(
    images: ImageSet, train: Int64[np.ndarray, " n"], test: Int64[np.ndarray, " m"], stated: list[str]
) -> Int64[np.ndarray, " k"]:
    """The rows of `train` whose class is also in test; the others have one picture each, which is added to `stated`."""
    in_test = {images.labels[row] for row in test}
    single = sorted({label for row in train if (label := images.labels[row]) is not None and label not in in_test})
    if len(in_test) < 2:
        raise TwofoldError(
            f"the data '{images.name}' have {len(in_test)} class{'' if len(in_test) == 1 else 'es'} of 2 pictures or "
            "more, but evaluation needs 2, to fit and to test on each. Give more labelled pictures."
        )
    if single:
        have = "has 1 picture" if len(single) == 1 else "have 1 picture each"
        stated.append(f"{_names(single)} {have}, too few for both train and test: left out")
    return train[np.array([images.labels[row] in in_test for row in train], dtype=bool)]


def _shared_classes(
    images: ImageSet, train: Int64[np.ndarray, " n"], test: Int64[np.ndarray, " m"], stated: list[str]
) -> list[str]:
    """The classes that both have; the others are added to `stated`."""
    in_train = {label for row in train if (label := images.labels[row]) is not None}
    in_test = {label for row in test if (label := images.labels[row]) is not None}
    if in_train != in_test:
        parts = []
        if only := sorted(in_train - in_test):
            parts.append(f"{_names(only)} only in train")
        if only := sorted(in_test - in_train):
            parts.append(f"{_names(only)} only in test")
        if len(in_train & in_test) < 2:
            raise TwofoldError(
                f"the data '{images.name}' have {' and '.join(parts)}, but both splits need two classes in common. "
                "Rename these labels, or move pictures of them into both splits."
            )
        stated.append(f"measured on the {len(in_train & in_test)} classes that both splits have: {' and '.join(parts)}")
    return sorted(in_train & in_test)


def _of_classes(images: ImageSet, rows: Int64[np.ndarray, " n"], classes: Sequence[str]) -> Int64[np.ndarray, " k"]:
    kept = frozenset(classes)
    return rows[np.array([images.labels[row] in kept for row in rows], dtype=bool)].astype(np.int64)


def _names(classes: Sequence[str], most: int = 5) -> str:
    more = f" and {len(classes) - most} more" if len(classes) > most else ""
    return ("the class " if len(classes) == 1 else "the classes ") + ", ".join(f"'{c}'" for c in classes[:most]) + more


def _ids(images: ImageSet, rows: Int64[np.ndarray, " n"], classes: list[str]) -> Int64[np.ndarray, " n"]:
    number = {name: place for place, name in enumerate(classes)}
    return np.array([number[label] for row in rows if (label := images.labels[row]) is not None], dtype=np.int64)
