"""Which images have labels to fit on, how many of these are given, and which are only counted at the end."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, Integer

from twofold.data import FEW_LABELLED, ImageSet, cut_fraction, label_fraction, shots_per_class
from twofold.data.splits import cut_groups, permutation
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe

Labels = int | float | str  # labels per class, a fraction of the labels in (0, 1), or "all"
Fold = tuple[Integer[np.ndarray, " _"], Integer[np.ndarray, " _"]]  # row numbers: kept, cut
FOLDS = 5
_CUT_HERE = ("TF001", "TF033")  # findings: a test split was cut off train, or none could be
_NAMED = 5  # classes, before "and 3 more"
_UNEQUAL = 1.5  # times as many images in the largest class as in the smallest
LEAST_SELECTION = 500  # an accuracy counted on fewer images is off by more than 2 points (standard error)


@dataclass(frozen=True)
class MeasuredRows:
    """Row numbers of train and test, and the labels of train. The labels of test are not here.

    `notes` are sentences on what was left out.
    """

    classes: list[str]
    train: Int64[np.ndarray, " n"]
    train_ids: Int64[np.ndarray, " n"]  # 0 .. classes - 1
    test: Int64[np.ndarray, " m"]
    notes: list[str]
    groups: Int64[np.ndarray, " n"] | None = None  # of train, as numbers: no fold and no draw divides one
    test_groups: Int64[np.ndarray, " m"] | None = None

    def groups_of(self, places: Int64[np.ndarray, " k"]) -> Int64[np.ndarray, " k"] | None:
        """The groups of some places of train, or None where nothing is in groups."""
        return None if self.groups is None else self.groups[places]


def measured_rows(images: ImageSet) -> MeasuredRows:
    """The rows to measure on.

    Left out are images without a label, classes that train and test do not share, and classes of a single image where
    the test split was cut off by `load_images`, which can give them none; `notes` name all of that. Raises TwofoldError
    for data without labels or without a test split, and where train and test share fewer than two classes.
    """
    train, test = images.labelled_rows("train"), images.rows("test")
    _require_labels(images, train)
    known = np.array([images.labels[row] is not None for row in test], dtype=bool)
    notes: list[str] = []
    if any(finding.code in _CUT_HERE for finding in images.findings):
        train = _without_single(images, train, test, notes)
    if not known.all() and known.any():
        notes.append(f"{int((~known).sum()):,} test images without a label are left out")
    if not known.any():
        raise TwofoldError(
            f"the data '{images.name}' have {len(test):,} test images, none with a label, but accuracy is counted on "
            "test. Put labelled images into a test split: a folder test/ beside train/, or the column split of a CSV."
        )
    if unused := len(images.rows("validation")):
        notes.append(f"the {unused:,} images of the validation split are not used")
    if unlabelled := len(images.rows("train")) - len(images.labelled_rows("train")):
        notes.append(f"{unlabelled:,} train images have no label to learn from")
    classes = _shared_classes(images, train, test[known], notes)
    train, asked = (_of_classes(images, rows, classes) for rows in (train, test[known]))
    groups, test_groups = group_numbers(images, train), group_numbers(images, asked)
    return MeasuredRows(classes, train, _ids(images, train, classes), asked, notes, groups, test_groups)


def is_cross_validated(images: ImageSet) -> bool:
    """Whether no test split is the data's own and fewer than 1,000 images have a label."""
    train, test = images.labelled_rows("train"), images.labelled_rows("test")
    return (images.test_from == "cut" or len(test) == 0) and len(train) + len(test) < FEW_LABELLED


def pooled_rows(images: ImageSet) -> MeasuredRows:
    """All labelled images, as train and as test alike: for a cross-validation, which divides them.

    Left out are images without a label, the validation split, and classes of a single image or a single group, of which
    nothing would be left to fit on; `notes` name all of that. Raises TwofoldError for data without labels, and where
    fewer than two classes are left.
    """
    _require_labels(images, images.labelled_rows("train"))
    rows = np.union1d(images.labelled_rows("train"), images.labelled_rows("test"))
    notes: list[str] = []
    units: dict[str, set[str | int]] = {}
    for row in rows.tolist():
        units.setdefault(str(images.labels[row]), set()).add((images.groups[row] if images.groups else None) or row)
    classes = sorted(name for name, own in units.items() if len(own) > 1)
    kind = "group" if images.groups else "image"
    if len(classes) < 2:
        raise TwofoldError(
            f"the data '{images.name}' have {len(classes)} class{'' if len(classes) == 1 else 'es'} of 2 {kind}s or "
            "more, but evaluation needs 2, to fit and to test on each. Give more labelled images."
        )
    if single := sorted(units.keys() - classes):
        have = f"has 1 {kind}" if len(single) == 1 else f"have 1 {kind} each"
        notes.append(f"{_names(single)} {have}, too few to both fit and test on: left out")
    if unused := len(images.rows("validation")):
        notes.append(f"the {unused:,} images of the validation split are not used")
    if unlabelled := len(images.rows("train")) - len(images.labelled_rows("train")):
        notes.append(f"{unlabelled:,} train images without a label are not fitted on")
    rows = _of_classes(images, rows, classes)
    groups = group_numbers(images, rows)
    return MeasuredRows(classes, rows, _ids(images, rows, classes), rows, notes, groups, groups)


def read_truth(images: ImageSet, rows: MeasuredRows) -> Int64[np.ndarray, " m"]:
    """The labels of the test rows, for counting what is right: to be called when everything is predicted."""
    return _ids(images, rows.test, rows.classes)


def selection_folds(images: ImageSet, rows: MeasuredRows, data: DataRecipe, seed: int) -> list[Fold]:
    """Pairs (kept, cut) of places within `rows.train`, on whose cuts a choice is made; a function of the seed.

    One pair, `data.selection_fraction` of each class cut off; where that is under 500 images, on which no choice
    can rest, the five of a cross-validation. Raises TwofoldError where no class has two images.
    """
    seed += data.data_seed
    if not is_large(len(rows.train), data):
        order = permutation(len(rows.train), seed)
        dealt = stratified_folds(rows.train_ids[order], groups=rows.groups_of(order))
        folds = [(order[kept], order[cut]) for kept, cut in dealt]
        if not folds:
            raise TwofoldError(
                f"the data '{images.name}' have 1 labelled train image of each class, but evaluation needs 2 to "
                "choose on. Give more labelled images."
            )
        return folds
    return [cut_selection(images, rows.train, data.selection_fraction, seed)]


def cut_selection(images: ImageSet, rows: Int64[np.ndarray, " n"], fraction: float, seed: int) -> Fold:
    """Places (kept, cut) within `rows`, about `fraction` of each class cut off; no group of images is divided."""
    keys, names = [images.paths[row] for row in rows], [images.labels[row] for row in rows]
    if not images.groups:
        return cut_fraction(keys, fraction, seed, labels=names)
    return cut_groups(keys, [images.groups[row] for row in rows], fraction, seed, labels=names)


def is_large(count: int, data: DataRecipe) -> bool:
    """Whether the selection split of `count` train images is large enough to choose on."""
    return data.selection_fraction * count >= LEAST_SELECTION


def stratified_folds(
    y: Integer[np.ndarray, " n"], count: int = FOLDS, groups: Int64[np.ndarray, " n"] | None = None
) -> list[Fold]:
    """`count` pairs of (kept, cut) row numbers: the rows of each class are dealt out in turn, in the given order.

    Whole `groups`, where there are any: the largest first, each to the fold that has the fewest rows of its classes,
    and of such folds to the smallest. Fewer pairs where no class has that many rows; none where each class has one.
    """
    turn = np.empty(len(y), dtype=np.int64)
    if groups is None:
        for label in np.unique(y):
            own = np.flatnonzero(y == label)
            turn[own] = np.arange(len(own)) % count
    else:
        got = np.zeros((count, int(y.max(initial=0)) + 1), np.int64)  # rows of each class that each fold has
        for own in sorted(_members(groups), key=len, reverse=True):
            fold = int(np.lexsort((got.sum(axis=1), got[:, y[own]].sum(axis=1)))[0])
            turn[own] = fold
            got[fold] += np.bincount(y[own], minlength=got.shape[1])
    folds = [(np.flatnonzero(turn != fold), np.flatnonzero(turn == fold)) for fold in range(count)]
    return [(kept, cut) for kept, cut in folds if len(kept) and len(cut)]


def _members(groups: Int64[np.ndarray, " n"]) -> list[Int64[np.ndarray, " k"]]:
    """The rows of each group, the groups in the order of their first rows."""
    numbers, first = np.unique(groups, return_index=True)
    order = np.argsort(groups, kind="stable")
    rows = np.split(order, np.searchsorted(groups[order], numbers[1:]))
    return [rows[place] for place in np.argsort(first, kind="stable")]


def few_budgets(rows: MeasuredRows, shots: Sequence[int], fractions: Sequence[float]) -> tuple[list[Labels], list[str]]:
    """The budgets below "all" that the data allow, and a sentence for each count that some class does not reach.

    A count of shots must be reached by half of the classes; those with fewer give all ("up to"). Counts
    come first, then fractions, each from few to many.
    """
    counts = np.bincount(rows.train_ids, minlength=len(rows.classes))
    possible: list[Labels] = []
    sentences = []
    for count in sorted(set(shots)):
        short = [place for place in np.argsort(counts, kind="stable").tolist() if counts[place] < count]
        if 2 * len(short) <= len(counts):
            possible.append(count)
        if short:
            have = ", ".join(f"'{rows.classes[place]}' {counts[place]:,}" for place in short[:_NAMED])
            more = f" and {len(short) - _NAMED:,} more" if len(short) > _NAMED else ""
            what = f"up to {count:,} of a class" if count in possible else "left out"
            sentences.append(
                f"{count} labels per class: {what}, since {len(short):,} of {len(counts):,} classes have fewer in "
                f"train ({have}{more})"
            )
    return [*possible, *sorted({float(fraction) for fraction in fractions} - {1.0})], sentences


def given_places(
    ids: Int64[np.ndarray, " n"], labels: Labels, seed: int, groups: Int64[np.ndarray, " n"] | None = None
) -> Int64[np.ndarray, " k"]:
    """Sorted places within `ids` whose labels are given: a function of the seed, nested from few to many.

    Of one of the `groups` a fraction takes all or none, a number per class no second image before each other group has
    given one.
    """
    if labels == "all":
        return np.arange(len(ids))
    if isinstance(labels, int):
        return shots_per_class(ids, labels, seed, groups)
    assert isinstance(labels, float)
    return label_fraction(ids, labels, seed, groups)


def label_count(rows: MeasuredRows, labels: Labels) -> int:
    """The number of labelled images of a budget, of all classes together; a class may have fewer than asked for."""
    if isinstance(labels, int):
        return int(np.minimum(np.bincount(rows.train_ids, minlength=len(rows.classes)), labels).sum())
    return len(given_places(rows.train_ids, labels, 0, rows.groups))


def group_numbers(images: ImageSet, rows: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"] | None:
    """Numbers of the groups of some rows, an image without one on its own; None where no image has a group."""
    if not images.groups:
        return None
    names = [images.groups[row] or row for row in rows.tolist()]
    numbers: dict[str | int, int] = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.int64)


def _require_labels(images: ImageSet, train: Int64[np.ndarray, " n"]) -> None:
    if images.is_labelled:
        return
    count, names = len(images.rows("train")), {images.labels[row] for row in train}
    have = f"{len(names)} class" if names else f"{count:,} of {count:,} train images without a label"
    raise TwofoldError(
        f"the data '{images.name}' have {have}, but evaluation needs labels of at least 2 classes. "
        "Put the images into one folder per class, or give a CSV with the columns path and label."
    )


def _without_single(
    images: ImageSet, train: Int64[np.ndarray, " n"], test: Int64[np.ndarray, " m"], notes: list[str]
) -> Int64[np.ndarray, " k"]:
    """The rows of `train` whose class is also in test; the others have one image each, which is added to `notes`."""
    in_test = {images.labels[row] for row in test}
    single = sorted({label for row in train if (label := images.labels[row]) is not None and label not in in_test})
    if len(in_test) < 2:
        raise TwofoldError(
            f"the data '{images.name}' have {len(in_test)} class{'' if len(in_test) == 1 else 'es'} of 2 images or "
            "more, but evaluation needs 2, to fit and to test on each. Give more labelled images."
        )
    if single:
        have = "has 1 image" if len(single) == 1 else "have 1 image each"
        notes.append(f"{_names(single)} {have}, too few for both train and test: left out")
    return train[np.array([images.labels[row] in in_test for row in train], dtype=bool)]


def _shared_classes(
    images: ImageSet, train: Int64[np.ndarray, " n"], test: Int64[np.ndarray, " m"], notes: list[str]
) -> list[str]:
    """The classes that both have; the others are added to `notes`."""
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
                "Rename these labels, or move images of them into both splits."
            )
        notes.append(f"measured on the {len(in_train & in_test)} classes that both splits have: {' and '.join(parts)}")
    return sorted(in_train & in_test)


def _of_classes(images: ImageSet, rows: Int64[np.ndarray, " n"], classes: Sequence[str]) -> Int64[np.ndarray, " k"]:
    kept = frozenset(classes)
    return rows[np.array([images.labels[row] in kept for row in rows], dtype=bool)].astype(np.int64)


def _names(classes: Sequence[str]) -> str:
    more = f" and {len(classes) - _NAMED} more" if len(classes) > _NAMED else ""
    return (
        ("the class " if len(classes) == 1 else "the classes ") + ", ".join(f"'{c}'" for c in classes[:_NAMED]) + more
    )


def _ids(images: ImageSet, rows: Int64[np.ndarray, " n"], classes: list[str]) -> Int64[np.ndarray, " n"]:
    number = {name: place for place, name in enumerate(classes)}
    return np.array([number[label] for row in rows if (label := images.labels[row]) is not None], dtype=np.int64)


def is_unequal(ids: Integer[np.ndarray, " n"]) -> bool:
    """Whether the largest class has more than 1.5 times the images of the smallest."""
    counts = np.bincount(ids)
    counts = counts[counts > 0]
    return len(counts) > 0 and bool(counts.max() > _UNEQUAL * counts.min())
