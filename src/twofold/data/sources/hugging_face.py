"""A `Dataset` of Hugging Face's `datasets`, known by what it offers; the package itself is not needed here."""

from collections.abc import Mapping, Sequence
from typing import Any

from twofold.data.findings import Finding
from twofold.data.sources.columns import LABEL
from twofold.data.sources.reach import read_regular
from twofold.errors import TwofoldError

_IMAGES, _LABELS = ("image", "img"), LABEL.split()  # columns that are taken where several may be meant


def is_hugging_face(data: object) -> bool:
    """Whether an object holds rows with features, column by column."""
    offered = all(hasattr(data, name) for name in ("__len__", "__getitem__", "cast_column"))
    return offered and isinstance(getattr(data, "features", None), Mapping)


class Rows:
    """The rows of such a data set as (file or image, label), with the names of the classes.

    Images stay undecoded, so that several threads can decode them, by the rules by which files are decoded.
    """

    def __init__(self, data: Any) -> None:
        """Raises TwofoldError where no single column holds the images, and for a transform on the fly."""
        name = str(getattr(data, "builder_name", None) or type(data).__name__)
        style = getattr(data, "format", None)
        if isinstance(style, Mapping) and style.get("type") == "custom":
            raise TwofoldError(
                f"the data '{name}' have a transform on the fly, but Twofold makes the views itself, of the images as "
                "they are. Give data.with_format(None)."
            )
        self.name = name
        self._column = _only(data.features, "Image", _IMAGES, f"the data '{name}'")
        label = next((column for column in _LABELS if column in data.features), None)
        label = label or _only_class(data.features)
        names = getattr(data.features[label], "names", None) if label else None
        self.classes: Sequence[str] | None = list(names) if names else None
        self.findings = [] if label else _no_label(data.features, self._column, name)
        self._labels = list(data[label]) if label else [None] * len(data)
        feature = data.features[self._column]
        raw = type(feature)(decode=False) if hasattr(feature, "decode") else feature
        self._data = data.with_format(None).cast_column(self._column, raw) if raw is not feature else data

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int, /) -> tuple[Any, Any]:
        cell = self._data[index][self._column]
        if isinstance(cell, Mapping):  # undecoded: bytes, or a file elsewhere
            cell = cell["bytes"] if cell.get("bytes") is not None else read_regular(cell["path"])
        return cell, self._labels[index]


def _only(features: Mapping[str, Any], kind: str, usual: Sequence[str], where: str) -> str:
    """The column whose feature is of a class called `kind`. Raises TwofoldError where that is not one."""
    found = [name for name, feature in features.items() if type(feature).__name__ == kind]
    named = [name for name in usual if name in found]
    if len(found) == 1 or named:
        return (named or found)[0]
    raise TwofoldError(
        f"{where} have the columns {', '.join(features)}, of which {len(found)} hold images, but there must be one of "
        f"the feature {kind}, or one called {' or '.join(usual)}. Select or rename columns."
    )


def _no_label(features: Mapping[str, Any], image: str, name: str) -> list[Finding]:
    others = [column for column in features if column != image]
    text = f"no column of the data '{name}' is called label or class; others are {', '.join(others[:8])}"
    return [Finding("TF027", text)] if others else []


def _only_class(features: Mapping[str, Any]) -> str | None:
    """The one column of classes; None where there is none, or several."""
    found = [name for name, feature in features.items() if type(feature).__name__ == "ClassLabel"]
    return found[0] if len(found) == 1 else None
