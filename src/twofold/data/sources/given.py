"""Data as Python hands them over: a path, a name, or an object."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twofold.data.record import SPLITS, Source
from twofold.data.sources.dataset import DatasetSource, Items
from twofold.data.sources.hugging_face import Rows, is_hugging_face
from twofold.data.sources.names import split_named
from twofold.data.sources.parts import PartsSource
from twofold.data.sources.source import open_source
from twofold.errors import TwofoldError
from twofold.recipes.kinds import AnyPath, as_data, unfit

AnyData = AnyPath | Source | Mapping[str, Any] | Items

_TAKEN = (
    "a path, a name, a data set with len(data) and data[i] that gives images or (image, label), a Source, or a dict of "
    "these with the keys train, validation and test"
)


def as_given(
    value: object, name: str = "data", *, cache: Path | None = None, allow_outside: bool = False
) -> str | Source:
    """The text of a path or a name as it is given; an object as a source of images.

    Takes a `torch.utils.data.Dataset` of images or (image, label), a `Dataset` or `DatasetDict` of Hugging Face, any
    `Source`, and a dict of all these by split; `cache` and `allow_outside` are for paths in such a dict. Raises
    TwofoldError, which calls it `name`, for anything else.
    """
    if isinstance(value, str | Path) or hasattr(value, "__fspath__"):
        return as_data(value, name)
    if isinstance(value, Source):
        return value
    if isinstance(value, Mapping):
        return _parts(value, name, cache, allow_outside)
    if is_hugging_face(value):
        rows = Rows(value)
        source = DatasetSource(rows, rows.name)
        source.findings += rows.findings
        return source
    if not isinstance(value, Items) or isinstance(value, bytes | bytearray | type) or _is_list_of_names(value):
        raise unfit(name, value, _TAKEN)
    own = getattr(value, "name", None)
    return DatasetSource(value, own if isinstance(own, str) and own else type(value).__name__)


def is_object(value: object) -> bool:
    """Whether a value is one data set as an object, and not a path, a name or several data sets."""
    plain = isinstance(value, str | bytes | list | tuple | set) or hasattr(value, "__fspath__")
    return not plain and (isinstance(value, Source | Mapping | Items) and not hasattr(value, "dtype"))


def _parts(parts: Mapping[str, Any], name: str, cache: Path | None, allow_outside: bool) -> PartsSource:
    by_split: dict[str, Source] = {}
    for key, part in parts.items():
        split = split_named(str(key))
        if split is None or split in by_split:
            raise TwofoldError(
                f"{name} has the keys {', '.join(map(str, parts))}, but a dict of data has one for each split: "
                f"{', '.join(SPLITS)}. Rename '{key}', or leave it out."
            )
        given = as_given(part, f"{name}['{key}']", cache=cache, allow_outside=allow_outside)
        by_split[split] = (
            given if isinstance(given, Source) else open_source(given, cache=cache, allow_outside=allow_outside)
        )
    if not by_split:
        raise TwofoldError(f"{name} is an empty dict, but it must hold data. Give one with the key train.")
    return PartsSource(by_split)


def _is_list_of_names(value: object) -> bool:
    return isinstance(value, list | tuple) and (not value or isinstance(value[0], str | Path))
