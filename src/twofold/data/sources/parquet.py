"""Parquet files with images inside, as written by Hugging Face's `datasets` and others: one file or many shards."""

import io
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from threading import Lock
from typing import Any

from twofold.data.findings import Finding
from twofold.data.parallel import in_flight
from twofold.data.record import Record, digest, shown
from twofold.data.sources.addresses import is_address, shown_address
from twofold.data.sources.columns import Columns
from twofold.data.sources.data_file import DataFile
from twofold.data.sources.place_reader import PlaceReader, unchanging
from twofold.data.sources.schema import Schema, read_schema
from twofold.data.sources.shards import missing_shards, split_of_each
from twofold.errors import TwofoldError


class ParquetSource:
    """A column of images (bytes, paths, or structs of both) and, where they are there, of label, split and group."""

    def __init__(
        self, files: Sequence[DataFile], name: str, *, allow_outside: bool = False, columns: Columns | None = None
    ) -> None:
        """Raises TwofoldError where a file is no parquet, has no column of images or leads out of its folder."""
        self.name = name
        shards = [_Shard(file, name, columns or Columns(), allow_outside=allow_outside) for file in files]
        sizes = [shard.count for shard in shards]
        if sum(sizes) == 0:
            raise TwofoldError(f"the parquet file '{name}' has no rows; it needs one for each image. Add some.")
        paths = [file.path for file in files]
        root = next(root for root in paths[0].parents if all(path.is_relative_to(root) for path in paths))
        splits = split_of_each(paths, root) if len(files) > 1 else [None]
        self.records = _records(shards, splits, [str(path.relative_to(root)) for path in paths])
        self.findings: list[Finding] = [*shards[0].schema.findings, *unchanging(sum(one.addresses for one in shards))]
        if missing := missing_shards(paths):
            few = ", ".join(missing[:3])
            self.findings.append(Finding("TF046", f"{len(missing):,} shards of '{name}' are not there: {few}"))
        self._shards = [shard for shard in shards if shard.count]
        self._first = [0, *accumulate(shard.count for shard in self._shards)]

    def stamp(self) -> str:
        """Over the files' places, and size and times of them and of the files that they name."""
        parts = [shard.stamp() for shard in self._shards]
        return digest(["parquet", *parts[0]] if len(parts) == 1 else ["parquet", parts])

    def open(self, index: int) -> io.BytesIO:
        """The image of a record, as a file in memory."""
        return io.BytesIO(self.read(index))

    def read(self, index: int) -> bytes:
        """The image of a record. Raises OSError for an empty cell."""
        place = bisect_right(self._first, index) - 1
        return self._shards[place].read(index - self._first[place])


class _Shard:
    """One parquet file."""

    def __init__(self, file: DataFile, name: str, columns: Columns, *, allow_outside: bool) -> None:
        import pyarrow.parquet as pq

        open_parquet: Any = pq.ParquetFile
        self._data = file
        with _parquet_errors(file.name):
            self._file = open_parquet(file.for_arrow())
            self.schema: Schema = read_schema(self._file, name, columns)
            self.count: int = self._file.metadata.num_rows
            named = self.schema.named_files(self._file)
        reach = file.reach(allow_outside=allow_outside)
        self._files = {row: reach.find(text, f"row {row} of '{name}'") for row, text in named.items()}
        self._reader = PlaceReader(self._files.values(), name)
        self.addresses = self._reader.addresses
        sizes = [self._file.metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)]
        self._first_rows = [0, *accumulate(sizes)]
        # Readers go through the file side by side, in order: enough groups stay in memory that none is read twice.
        self._groups_kept = 2 + in_flight() // max(1, min(sizes, default=1))
        self._groups: OrderedDict[int, Any] = OrderedDict()
        self._lock = Lock()

    def stamp(self) -> list[object]:
        """Its place, and size and times of it and of the files that it names."""
        return [self._data.place, self._data.stamp, [self._reader.stamp(place) for place in self._files.values()]]

    def read(self, index: int) -> bytes:
        """The image of a row. Raises OSError for an empty cell."""
        if index in self._files:
            return self._reader.read(self._files[index])
        group = bisect_right(self._first_rows, index) - 1
        cell = self._column(group)[index - self._first_rows[group]].as_py()
        if isinstance(cell, dict):
            cell = cell.get("bytes")
        if not isinstance(cell, bytes):
            raise OSError("the row has no image")
        return cell

    def cells(self, column: str | None) -> list[Any]:
        """A column as Python values; None for each row where there is no such column."""
        if column is None:
            return [None] * self.count
        with _parquet_errors(self._data.name):
            return self._file.read(columns=[column])[column].to_pylist()

    def paths(self) -> list[str | None]:
        """What each row calls its image, if anything."""
        with _parquet_errors(self._data.name):
            paths = self.schema.paths(self._file)
        return [shown_address(path) if path and is_address(path) else path for path in paths]

    def _column(self, group: int) -> Any:
        name = self.schema.image
        with self._lock:
            if group not in self._groups:
                self._groups[group] = self._file.read_row_group(group, columns=[name])[name]
                while len(self._groups) > self._groups_kept:
                    self._groups.popitem(last=False)
            return self._groups[group]


@contextmanager
def _parquet_errors(name: str) -> Iterator[None]:
    """Turn what pyarrow raises for a damaged file into a TwofoldError."""
    from pyarrow.lib import ArrowException

    try:
        yield
    except (OSError, ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise TwofoldError(
            f"'{name}' cannot be read as a parquet file ({reason}). Write it again, or give a folder."
        ) from error


def _records(shards: Sequence[_Shard], splits: Sequence[str | None], names: Sequence[str]) -> list[Record]:
    """Rows called by their paths where these are there and unique, else by number, in the shard's name if several."""
    paths = [path for shard in shards for path in shard.paths()]
    if not all(paths) or len(set(paths)) < len(paths):
        digits = len(str(max(shard.count for shard in shards)))
        prefixes = ["row" if len(shards) == 1 else name for name in names]
        paths = [f"{p}/{i:0{digits}d}" for p, shard in zip(prefixes, shards, strict=True) for i in range(shard.count)]
    calls = iter(paths)
    records = []
    for shard, split in zip(shards, splits, strict=True):
        columns = shard.schema.columns(shard.cells)
        for label, own, group in zip(*columns, strict=True):
            records.append(Record(path=shown(next(calls) or ""), label=label, split=own or split, group=group))
    return records
