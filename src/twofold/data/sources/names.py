"""What people call their splits, and what they write where there is no label."""

import re
import unicodedata

from twofold.errors import TwofoldError

_WORDS = {  # in English, then in German, French, Spanish, Portuguese and Italian, without accents
    "train": "train training trn trainset trainval "
    "trainingsdaten trainingsbilder entrainement apprentissage entrenamiento treino treinamento addestramento",
    "validation": "validation val valid validate valset dev devel eval evaluation "
    "validierung validierungsdaten validacion validacao validazione",
    "test": "test testing tst testset testdaten testbilder prueba pruebas teste",
}
_SPLIT_OF = {word: split for split, words in _WORDS.items() for word in words.split()}
_BETWEEN = " _.-"
_ANY = "|".join(sorted(_SPLIT_OF, key=len, reverse=True))
_AT_THE_END = re.compile(rf"^({_ANY})\d*[{_BETWEEN}]+|[{_BETWEEN}]+({_ANY})\d*$", re.IGNORECASE)
_FILLERS = frozenset(
    ["set", "data", "dataset", "images", "image", "imgs", "img", "split", "folder", "pictures", "photos", "samples"]
)
_NO_LABEL = frozenset({"", "nan", "none", "null", "n/a", "<na>", "#n/a", "-1", "-1.0"})
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff \t\xa0\u2002\u2003\u2009\u202f\u3000"  # beside a label
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

    Train and validation together (train_val) are train.

    >>> split_named("Training_Set"), split_named("train2017"), split_named("train_station")
    ('train', 'train', None)
    """
    words = _words(name)
    known = [_SPLIT_OF[word] for word in words if word in _SPLIT_OF]
    if known == ["train", "validation"]:
        known = ["train"]
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


def without_split(name: str) -> str:
    """A name without the word of a split that it begins or ends with, as it is written; "" where nothing is left.

    >>> without_split("class1_train"), without_split("Testing-Cats")
    ('class1', 'Cats')
    """
    return _AT_THE_END.sub("", name).strip(_BETWEEN)


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
    """A label as text, or None where the value says that there is none (also "unlabelled"); bytes are text in UTF-8."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    text = "" if value is None else plain_label(text)
    return None if is_no_label(text) or is_unlabelled_folder(text) else text


def plain_label(text: str) -> str:
    """A label as it looks: composed letters, no blanks or signs without a width around it, no line breaks."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", unicodedata.normalize("NFC", text)).strip(_INVISIBLE)


def names_a_split(text: str) -> bool:
    """Whether `resolve_split` takes a text for a split."""
    return is_unlabelled_folder(text) or split_hinted(text) is not None


def resolve_split(text: str, where: str) -> str | None:
    """The split that a table's cell names, "train" for unlabelled images; None for an empty cell.

    Raises TwofoldError naming `where`.
    """
    if is_no_label(text):
        return None
    split = "train" if is_unlabelled_folder(text) else split_hinted(text)
    if split is None:
        raise TwofoldError(
            f"{where} has the split {text!r}, but a split is one of train, validation (val, valid, dev) or test. "
            "Correct or empty that cell."
        )
    return split


def _words(name: str) -> list[str]:
    """In small letters, parted at signs, digits and capitals; without digits and accents."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", name) if not unicodedata.combining(sign))
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", plain)]
