"""Labels from the files that WebDataset keeps beside each image in a tar: 000123.jpg, 000123.cls, 000123.json."""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from twofold.data.sources.columns import GROUP, LABEL
from twofold.data.sources.names import label_of

SIDECARS = (".cls", ".label", ".json")


class Told(NamedTuple):
    """What the file beside an image says of it."""

    label: str | None = None
    group: str | None = None


def told_of_each(images: Sequence[str], sidecars: Mapping[str, bytes]) -> list[Told]:
    """Label and group of each image, from the files of the same key; an empty list where none has a label or a group.

    The key is the path up to the first dot of the file's name. A .cls holds the label as text, a .json an object with
    the usual names of columns (label, class ...; group).
    """
    by_key: dict[str, Told] = {}
    for name in sorted(sidecars, key=lambda one: one.endswith(".json"), reverse=True):  # .cls wins over .json
        told = _told(name, sidecars[name])
        before = by_key.get(_key(name), Told())
        by_key[_key(name)] = Told(told.label or before.label, told.group or before.group)
    told_all = [by_key.get(_key(image), Told()) for image in images]
    return told_all if any(map(any, told_all)) else []


def _key(name: str) -> str:
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.partition(".")[0]


def _told(name: str, content: bytes) -> Told:
    text = content.decode("utf-8", "backslashreplace")
    if not name.endswith(".json"):
        return Told(label_of(text))
    try:
        values = json.loads(text)
    except ValueError:
        return Told()
    if not isinstance(values, dict):
        return Told()
    known = {str(key).strip().lower(): value for key, value in values.items() if isinstance(value, str | int | bool)}
    label = next((known[one] for one in LABEL.split() if one in known), None)
    group = next((known[one] for one in GROUP.split() if one in known), None)
    return Told(label_of(label), label_of(group))
