"""What people call their splits, and what they write where there is no label."""

import re

from twofold.errors import TwofoldError

_WORDS = {
    "train": ("train", "training", "trn", "trainset", "trainval"),
    "validation": ("validation", "val", "valid", "validate", "valset", "dev", "devel", "eval", "evaluation"),
    "test": ("test", "testing", "tst", "testset"),
}
_SPLIT_OF = {word: split for split, words in _WORDS.items() for word in words}
_FILLERS = frozenset(
    ["set", "data", "dataset", "images", "image", "imgs", "img", "split", "folder", "pictures", "photos", "samples"]
)
_NO_LABEL = frozenset({"", "nan", "none", "null", "n/a", "<na>", "-1", "-1.0"})
_UNLABELLED = frozenset(
    [
        "unlabelled",
        "unlabeled",
        "unsupervised",
        "unsup",
        "nolabel",
        "nolabels",
        "withoutlabel",
        "withoutlabels",
        "notlabelled",
        "notlabeled",
    ]
)


def split_named(name: str) -> str | None:
    """The split that a name means and nothing else: Train, training_set, test1, images-val, TestImages.

    >>> split_named("Training_Set"), split_named("train2017"), split_named("train_station")
    ('train', 'train', None)
    """
    words = _words(name)
    known = [_SPLIT_OF[word] for word in words if word in _SPLIT_OF]
    if len(known) == 1 and all(word in _SPLIT_OF or word in _FILLERS for word in words):
        return known[0]
    return None


def split_hinted(name: str) -> str | None:
    """The split that a name may mean: it begins or ends with the word, as in seg_train and test_flowers.

    >>> split_hinted("seg_train"), split_hinted("bullet_train"), split_hinted("trainer")
    ('train', 'train', None)
    """
    if (split := split_named(name)) is not None:
        return split
    words = _words(name)
    return next((_SPLIT_OF[word] for word in (*words[-1:], *words[:1]) if word in _SPLIT_OF), None)


def beside_split(name: str) -> tuple[str, ...]:
    """The words of a name that are not about splits: ('seg',) of seg_train."""
    return tuple(word for word in _words(name) if word not in _SPLIT_OF and word not in _FILLERS)


def is_unlabelled_folder(name: str) -> bool:
    """Whether a folder is called after what it lacks: unlabelled, Unlabeled_images, no-labels."""
    return "".join(word for word in _words(name) if word not in _FILLERS) in _UNLABELLED


def is_no_label(text: str) -> bool:
    """Whether a cell or a name says that there is no label: "", nan, NaN, None, NULL, N/A and -1."""
    return text.strip().lower() in _NO_LABEL


def label_of(value: object) -> str | None:
    """A label as text, or None where the value says that there is none; bytes are text in UTF-8."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    text = "" if value is None else text.strip()
    return None if is_no_label(text) else text


def resolve_split(text: str, where: str) -> str | None:
    """The split that a table's cell names; None for an empty cell. Raises TwofoldError naming `where`."""
    if is_no_label(text):
        return None
    split = split_named(text)
    if split is None:
        raise TwofoldError(
            f"{where} has the split {text!r}, but a split is one of train, validation (val, valid, dev) or test. "
            "Correct or empty that cell."
        )
    return split


def _words(name: str) -> list[str]:
    """In small letters, parted at signs, digits and capitals; without digits."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]
