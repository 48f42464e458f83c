"""A parquet file with pictures inside, as written by Hugging Face's `datasets` and others."""

import io
import json
from bisect import bisect_right
from collections import OrderedDict
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from twofold.data.parallel import in_flight
from twofold.data.record import Record, digest, resolve_split, shown, stamp_path
from twofold.data.sources.reach import Reach, read_regular
from twofold.errors import TwofoldError


class ParquetSource:
    """Column `image` (bytes, or a struct of bytes and path), optionally `label` and `split`."""

    def __init__(self, path: Path, name: str, *, allow_outside: bool = False) -> None:
        """Raises TwofoldError where this is no parquet file, has no column of pictures or leads out of its folder."""
        import pyarrow.parquet as pq
        from pyarrow.lib import ArrowException

        open_parquet: Any = pq.ParquetFile
        self.name, self.stated = name, ()
        self._path = path
        try:
            self._file = open_parquet(path)
            self.records = _records(self._file, name)
            named = _named_files(self._file)
        except (OSError, ArrowException) as error:
            reason = str(error).splitlines()[0]
            raise TwofoldError(
                f"'{name}' cannot be read as a parquet file ({reason}). Write it again, or give a folder."
            ) from error
        if not self.records:
            raise TwofoldError(f"the parquet file '{name}' has no rows; it needs one for each picture. Add some.")
        reach = Reach(path.parent, allow_outside=allow_outside)
        self._files = {row: reach.find(text, f"row {row} of '{name}'") for row, text in named.items()}
        sizes = [self._file.metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)]
        self._first_rows = [0, *accumulate(sizes)]
        # Readers go through the file side by side, in order: enough groups stay in memory that none is read twice.
        self._groups_kept = 2 + in_flight() // max(1, min(sizes))
        self._groups: OrderedDict[int, Any] = OrderedDict()
        self._lock = Lock()

    def stamp(self) -> str:
        """Over the file's place, and size and times of it and of the files that it names."""
        named = [(file, stamp_path(Path(file))) for file in self._files.values()]
        return digest(["parquet", str(self._path.resolve()), stamp_path(self._path), named])

    def open(self, index: int) -> BinaryIO:
        """The picture of a record, as a file in memory."""
        return io.BytesIO(self.read(index))

    def read(self, index: int) -> bytes:
        """The picture of a record. Raises OSError for an empty cell."""
        if index in self._files:
            return read_regular(self._files[index])
        group = bisect_right(self._first_rows, index) - 1
        cell = self._column(group)[index - self._first_rows[group]].as_py()
        if isinstance(cell, dict):
            cell = cell.get("bytes")
        if cell is None:
            raise OSError("the row has no picture")
        return cell

    def _column(self, group: int) -> Any:
        with self._lock:
            if group not in self._groups:
                self._groups[group] = self._file.read_row_group(group, columns=["image"])["image"]
                while len(self._groups) > self._groups_kept:
                    self._groups.popitem(last=False)
            return self._groups[group]


def _records(file: Any, name: str) -> list[Record]:
    import pyarrow.types as types

    schema = file.schema_arrow
    kind = schema.field("image").type if "image" in schema.names else None
    is_struct = kind is not None and types.is_struct(kind) and kind.get_field_index("bytes") >= 0
    if kind is None or not (is_struct or types.is_binary(kind) or types.is_large_binary(kind)):
        raise TwofoldError(
            f"'{name}' has the columns {', '.join(schema.names)}, but pictures must be in a column 'image' of bytes "
            "(or of structs with bytes and path). Rename or convert it."
        )
    count = file.metadata.num_rows
    labels = _labels(file, count)
    splits = _cells(file, "split", count)
    paths = _paths(file, count)
    return [
        Record(path=paths[i], label=labels[i], split=resolve_split(str(splits[i] or ""), f"row {i} of '{name}'"))
        for i in range(count)
    ]


def _named_files(file: Any) -> dict[int, str]:
    """Row -> path, where there is a path and no bytes. Bytes are read only where the file does not tell which lack."""
    import pyarrow.compute as pc

    found: dict[int, str] = {}
    first = 0
    for group in range(file.num_row_groups if _has_paths(file) else 0):
        count = file.metadata.row_group(group).num_rows
        lacking = _lacking_bytes(file.metadata.row_group(group))
        if lacking != 0:
            paths = file.read_row_group(group, columns=["image.path"])["image"].to_pylist()
            is_lacking = [True] * count
            if lacking != count:
                content = file.read_row_group(group, columns=["image.bytes"])["image"]
                is_lacking = pc.is_null(pc.struct_field(content, "bytes")).to_pylist()
            cells = enumerate(zip(paths, is_lacking, strict=True), start=first)
            found |= {row: cell["path"] for row, (cell, lacks) in cells if lacks and cell and cell["path"]}
        first += count
    return found


def _lacking_bytes(group: Any) -> int | None:
    """In how many rows of a group there are no bytes; None where the file does not count them."""
    columns = (group.column(place) for place in range(group.num_columns))
    counted = next(column.statistics for column in columns if column.path_in_schema == "image.bytes")
    return counted.null_count if counted is not None and counted.has_null_count else None


def _has_paths(file: Any) -> bool:
    import pyarrow.types as types

    kind = file.schema_arrow.field("image").type
    return types.is_struct(kind) and kind.get_field_index("path") >= 0


def _cells(file: Any, column: str, count: int) -> list[Any]:
    if column not in file.schema_arrow.names:
        return [None] * count
    return file.read(columns=[column])[column].to_pylist()


def _labels(file: Any, count: int) -> list[str | None]:
    """Labels as text; the names behind numbers are taken from Hugging Face's metadata where it is there."""
    metadata = file.schema_arrow.metadata or {}
    features = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    names = features.get("label", {}).get("names")
    known = dict(enumerate(names)) if names else {}
    return [None if v in (None, "", -1) else str(known.get(v, v)) for v in _cells(file, "label", count)]


def _paths(file: Any, count: int) -> list[str]:
    if _has_paths(file):
        column = file.read(columns=["image.path"])["image"]
        paths = [cell and cell["path"] for cell in column.to_pylist()]
        if all(paths) and len(set(paths)) == count:
            return [shown(path) for path in paths]
    return [f"row/{i:0{len(str(count))}d}" for i in range(count)]
