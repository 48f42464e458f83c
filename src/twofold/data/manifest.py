"""A CSV manifest: path[,label[,split]], one picture a line."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from twofold.data.record import Record, digest, resolve_split, stamp_path
from twofold.errors import TwofoldError


class ManifestSource:
    """The pictures that a CSV file lists, in its order. Further columns are ignored."""

    def __init__(self, path: Path, name: str) -> None:
        """Raises TwofoldError, naming the line, where the table cannot be understood."""
        self.name, self.stated = name, ()
        self._root = path.parent
        try:
            self.records = _records(path, name)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise TwofoldError(
                f"the manifest '{name}' cannot be read ({error}); it must be a CSV file in UTF-8. Export it again."
            ) from error
        if not self.records:
            raise TwofoldError(f"the manifest '{name}' lists no picture; it needs a line for each. Add some.")

    def stamp(self) -> str:
        """Over the lines, and size and times of every file."""
        lines = [(r.path, r.label, r.split, stamp_path(self._root / r.path)) for r in self.records]
        return digest(["manifest", str(self._root.resolve()), lines])

    def open(self, index: int) -> BinaryIO:
        """The file of a record, open for reading."""
        return (self._root / self.records[index].path).open("rb")

    def read(self, index: int) -> bytes:
        """The content of a record's file."""
        return (self._root / self.records[index].path).read_bytes()


def _records(path: Path, name: str) -> list[Record]:
    lines: dict[str, int] = {}
    records = []
    for number, row in _rows(path, name):
        where = f"line {number} of '{name}'"
        picture = row["path"].strip()
        if not picture:
            raise TwofoldError(f"{where} has an empty path, but every line names a picture. Fill or remove the line.")
        if picture in lines:
            raise TwofoldError(f"{where} repeats the path '{picture}' of line {lines[picture]}. Remove one of them.")
        lines[picture] = number
        split = resolve_split(row.get("split") or "", where)
        records.append(Record(path=picture, label=(row.get("label") or "").strip() or None, split=split))
    return records


def _rows(path: Path, name: str) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, column -> cell) of each line that is not empty."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)
        header = [column.strip().lower() for column in next(reader, [])]
        if "path" not in header:
            raise TwofoldError(
                f"line 1 of '{name}' is the header {','.join(header)!r}, but it must have a column 'path' "
                "(path[,label[,split]]). Add or rename it."
            )
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) > len(header):
                raise TwofoldError(
                    f"line {reader.line_num} of '{name}' has {len(cells)} cells, but the header has {len(header)}. "
                    "Put quotes around a cell that holds a comma."
                )
            cells += [""] * (len(header) - len(cells))
            yield reader.line_num, dict(zip(header, cells, strict=True))
