"""Which columns of a parquet file hold images, labels, splits and groups, and what is in them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twofold.data.findings import Finding
from twofold.data.sources.columns import GROUP, LABEL, SPLIT, Columns, pick, require_single, unused_groups
from twofold.data.sources.names import label_of, names_a_split, resolve_split
from twofold.errors import TwofoldError

_IMAGE = "image img images image photo jpg png path filepath file_path image_path file_name filename file url image_url"
_BYTES = ("binary", "large_binary")
_TEXT = ("string", "large_string")


@dataclass(frozen=True)
class Schema:
    """The columns of one file; `kind` says what a cell of the column `image` is: bytes, struct or path."""

    name: str
    image: str
    kind: str
    has_paths: bool
    label: str | None
    split: str | None
    split_is_given: bool  # by a flag: then what names no split is an error
    group: str | None
    class_names: dict[int, str]
    findings: list[Finding]

    def named_files(self, file: Any) -> dict[int, str]:
        """Row -> path, where there is a path and no bytes. Bytes are read only where it is not told which lack."""
        if self.kind == "path":
            return {row: path for row, path in enumerate(self.paths(file)) if path}
        if not self.has_paths:
            return {}
        found: dict[int, str] = {}
        first = 0
        for group in range(file.num_row_groups):
            found |= {first + row: path for row, path in self._lacking_bytes(file, group).items()}
            first += file.metadata.row_group(group).num_rows
        return found

    def paths(self, file: Any) -> list[str | None]:
        """What each row calls its image, if anything."""
        if self.kind == "path":
            return file.read(columns=[self.image])[self.image].to_pylist()
        if not self.has_paths:
            return [None] * file.metadata.num_rows
        cells = file.read(columns=[f"{self.image}.path"])[self.image].to_pylist()
        return [cell and cell["path"] for cell in cells]

    def columns(
        self, cells: Callable[[str | None], list[Any]]
    ) -> tuple[list[str | None], list[str | None], list[str | None]]:
        """(labels, splits, groups). Raises TwofoldError for a list in place of a label and an unknown split."""
        labels = [self._label(row, value) for row, value in enumerate(cells(self.label))]
        told = [label_of(value) or "" for value in cells(self.split)]
        if not self.split_is_given and any(told) and not any(map(names_a_split, told)):
            text = f"the column '{self.split}' of '{self.name}' holds {', '.join(sorted(set(told) - {''})[:8])}"
            self.findings.append(Finding("TF025", f"{text}, which name no split"))
            told = [""] * len(told)
        splits = [resolve_split(text, f"row {row} of '{self.name}'") for row, text in enumerate(told)]
        return labels, splits, [label_of(value) for value in cells(self.group)]

    def _label(self, row: int, value: Any) -> str | None:
        if isinstance(value, list | dict):
            raise TwofoldError(
                f"row {row} of '{self.name}' has {value!r:.60} in the column '{self.label}', but an image has one "
                "label. Give --label-column with a column of single labels."
            )
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # whole numbers beside missing ones
        return None if label_of(value) is None else label_of(self.class_names.get(value, value))

    def _lacking_bytes(self, file: Any, group: int) -> dict[int, str]:
        """Row of the group -> path of those without bytes."""
        import pyarrow.compute as pc

        count = file.metadata.row_group(group).num_rows
        lacking = _count_lacking(file.metadata.row_group(group), self.image)
        if lacking == 0:
            return {}
        paths = file.read_row_group(group, columns=[f"{self.image}.path"])[self.image].to_pylist()
        is_lacking = [True] * count
        if lacking != count:
            content = file.read_row_group(group, columns=[f"{self.image}.bytes"])[self.image]
            is_lacking = pc.is_null(pc.struct_field(content, "bytes")).to_pylist()
        cells = enumerate(zip(paths, is_lacking, strict=True))
        return {row: cell["path"] for row, (cell, lacks) in cells if lacks and cell and cell["path"]}


def read_schema(file: Any, name: str, columns: Columns) -> Schema:
    """The columns of an open parquet file. Raises TwofoldError where none holds images."""
    schema = file.schema_arrow
    header = schema.names
    features = _features(schema)
    image, kind, has_paths = _image_column(schema, header, columns, name, _of_type(features, "Image"))
    label = pick(header, columns.label, LABEL, "label-column", name)
    if label is None and len(classes := _of_type(features, "ClassLabel")) == 1:
        label = classes[0]
    split = pick(header, columns.split, SPLIT, "split-column", name)
    group = pick(header, columns.group, GROUP, "group-column", name)
    findings = [] if group else unused_groups(header)
    if split and columns.split is None and _holds_numbers(schema.field(split).type):
        findings.append(Finding("TF025", f"the column '{split}' of '{name}' holds numbers, which name no split"))
        split = None
    others = [column for column in header if column not in (image, label, split, group)]
    if label is None and others:
        text = f"no column of '{name}' is called label or class; others are {', '.join(others[:8])}"
        findings.append(Finding("TF027", text))
    return Schema(
        name,
        image,
        kind,
        has_paths,
        label,
        split,
        columns.split is not None,
        group,
        _class_names(features, label),
        findings,
    )


def _holds_numbers(kind: Any) -> bool:
    import pyarrow.types

    return bool(pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind))


def _image_column(
    schema: Any, header: list[str], columns: Columns, name: str, described: list[str]
) -> tuple[str, str, bool]:
    """(column, kind of its cells, whether they have paths): the first of the usual names that can be images.

    Else the one column that is `described` as images.
    """
    given = pick(header, columns.path, "", "path-column", name)
    known = {column.lower(): column for column in header}
    usual = [known[one] for one in _IMAGE.split() if one in known]
    usual += described if len(described) == 1 else []
    for column in [given] if given else usual:
        require_single(header, column, name)
        kind = schema.field(column).type
        if str(kind) in _BYTES:
            return column, "bytes", False
        if str(kind) in _TEXT:
            return column, "path", True
        if str(kind).startswith("struct") and kind.get_field_index("bytes") >= 0:
            return column, "struct", kind.get_field_index("path") >= 0
    raise TwofoldError(
        f"'{name}' has the columns {', '.join(header)}, but images must be in a column 'image' of bytes "
        "(or of structs with bytes and path, or of paths). Rename or convert it, or name it by --path-column."
    )


def _features(schema: Any) -> dict[str, Any]:
    """Hugging Face's description of the columns, where it is there: name -> its type and more."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):  # no description, or one of another form
        return {}
    return {name: one for name, one in features.items() if isinstance(one, dict)} if isinstance(features, dict) else {}


def _of_type(features: dict[str, Any], kind: str) -> list[str]:
    return [name for name, feature in features.items() if feature.get("_type") == kind]


def _class_names(features: dict[str, Any], label: str | None) -> dict[int, str]:
    """The names behind numbers."""
    names = features.get(label or "", {}).get("names")
    return dict(enumerate(names)) if isinstance(names, list) else {}


def _count_lacking(group: Any, image: str) -> int | None:
    """In how many rows of a group there are no bytes; None where the file does not count them."""
    columns = (group.column(place) for place in range(group.num_columns))
    counted = next(column.statistics for column in columns if column.path_in_schema == f"{image}.bytes")
    return counted.null_count if counted is not None and counted.has_null_count else None
