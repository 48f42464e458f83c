"""A data set as a Python object: whatever gives images, or images with labels, by their number."""

import hashlib
import io
from collections.abc import Callable, Sequence
from math import isnan
from threading import Lock
from typing import Any, Protocol, runtime_checkable

import numpy as np
from PIL import Image

from twofold.data.arrays import TAKEN, as_file, as_pillow
from twofold.data.findings import Finding
from twofold.data.formats import UnreadableError, reason_of
from twofold.data.parallel import in_order
from twofold.data.record import Record, digest
from twofold.data.sources.names import label_of
from twofold.errors import TwofoldError

_READ_TWICE = 3  # images that tell whether a data set changes them at random


@runtime_checkable
class Items(Protocol):
    """What a `torch.utils.data.Dataset` with a length offers: `len(data)` and `data[0]` .. `data[len(data) - 1]`."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Any: ...


class DatasetSource:
    """Images, or (image, label) pairs, by their number.

    An image is a Pillow image, the bytes of a file, or pixels as `as_pillow` takes them; a label is a whole number, a
    text or None. All items are read once, for their labels and their fingerprint, and one at a time: the object need
    not bear several threads.
    """

    def __init__(self, data: Items, name: str) -> None:
        """Raises TwofoldError for an empty data set, and for one that gives other images when it is read again."""
        self.name, self._data, self._lock = name, data, Lock()
        if len(data) == 0:
            raise TwofoldError(f"data '{name}' is empty, but there must be images. Give a data set with some.")
        self._require_repeatable()
        seen = list(in_order(self._seen, len(data), text="Reading the data set", show=True))
        self._digest = digest([content for content, _ in seen])
        labels, self.findings = _labels([label for _, label in seen], class_names(data), name)
        digits = len(str(len(data)))
        self.records = [Record(path=f"{i:0{digits}d}", label=label) for i, label in enumerate(labels)]

    def __str__(self) -> str:
        return self.name

    def stamp(self) -> str:
        """Over the content of all images as it was when this was made."""
        return digest(["dataset", self._digest])

    def open(self, index: int) -> Image.Image | io.BytesIO:
        """The image of an item, its header at least."""
        content = self.read(index)
        return io.BytesIO(content) if isinstance(content, bytes) else content

    def read(self, index: int) -> Image.Image | bytes:
        """The image of an item, without its label. Raises UnreadableError for what is no image."""
        return self._item(index)[0]

    def _item(self, index: int) -> tuple[Image.Image | bytes, Any]:
        with self._lock:
            image, label = parts_of(self._data[index])
            return _content(image), label

    def _seen(self, index: int) -> tuple[str, Any]:
        """What tells the content of an item, and its label. A broken item has content too: its error."""
        try:
            content, label = self._item(index)
        except Exception as error:  # the user's code may fail in any way; the item is set aside, as a broken file is
            return reason_of(error), None
        if isinstance(content, bytes):
            return hashlib.sha256(content).hexdigest(), label
        return digest([content.mode, content.size, hashlib.sha256(content.tobytes()).hexdigest()]), label

    def _require_repeatable(self) -> None:
        for index in range(min(_READ_TWICE, len(self._data))):
            if self._seen(index)[0] != self._seen(index)[0]:
                raise TwofoldError(
                    f"item {index} of the data '{self.name}' is another image when it is read again, but a data set "
                    "must always give the same ones: Twofold makes the views itself. Leave random transforms out."
                )


def parts_of(item: Any) -> tuple[Any, Any]:
    """The image and the label (None: there is none) of what a data set gives. Raises UnreadableError."""
    if isinstance(item, tuple | list):
        if len(item) not in (1, 2):
            raise UnreadableError(f"an item is an image, or (image, label), but this one has {len(item)} parts")
        return (item[0], item[1]) if len(item) == 2 else (item[0], None)
    if isinstance(item, dict):
        if "image" not in item:
            raise UnreadableError(
                f"an item has 'image' and maybe 'label', but this one has {', '.join(map(str, item))}"
            )
        return item["image"], item.get("label")
    return item, None


def class_names(data: Any) -> Sequence[str] | None:
    """The names behind the numbers of the classes: `classes`, also of the data set that a Subset is a part of."""
    while data is not None:
        names = getattr(data, "classes", None)
        if isinstance(names, list | tuple) and names and all(isinstance(name, str | tuple) for name in names):
            return [name if isinstance(name, str) else str(name[0]) for name in names]
        data = getattr(data, "dataset", None)
    return None


def name_label(names: Sequence[str] | None) -> Callable[[Any], str | None]:
    """A function from a label as data sets have them to the name of its class; None: no label, as -1 and nan are.

    It raises TypeError for what names no class.
    """

    def named(label: Any) -> str | None:
        if hasattr(label, "__array__") and np.asarray(label).size == 1:
            label = np.asarray(label).item()
        if label is None or isinstance(label, str | bytes):
            return label_of(label)
        if isinstance(label, float) and isnan(label):
            return None
        if not isinstance(label, int | float) or label % 1 != 0:
            raise TypeError(type(label).__name__)
        number = int(label)
        if number == -1:
            return None
        return names[number] if names and 0 <= number < len(names) else str(number)

    return named


def _labels(given: Sequence[Any], names: Sequence[str] | None, where: str) -> tuple[list[str | None], list[Finding]]:
    """The names of the classes; none at all where one of the labels names no class, such as a list of boxes."""
    named = name_label(names)
    try:
        return [named(label) for label in given], []
    except TypeError as error:
        text = f"the labels of '{where}' are of the type {error}, which names no class, so none of them is used"
        return [None] * len(given), [Finding("TF070", text)]


def _content(image: Any) -> Image.Image | bytes:
    if isinstance(image, Image.Image | bytes):
        return image
    if hasattr(image, "__array__"):
        deep = as_file(image)
        return as_pillow(image) if deep is None else deep
    raise UnreadableError(f"it is of the type {type(image).__name__}; an image is {TAKEN}")
