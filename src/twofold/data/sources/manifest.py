"""A CSV manifest: path[,label[,split]], one picture a line."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from twofold.data.record import Record, digest, resolve_split, stamp_path
from twofold.data.sources.reach import Reach, open_regular, read_regular
from twofold.errors import TwofoldError


class ManifestSource:
    """The pictures that a CSV file lists, in its order. Further columns are ignored."""

    def __init__(self, path: Path, name: str, *, allow_outside: bool = False) -> None:
        """Raises TwofoldError, naming the line, where the table cannot be understood, or leads out of its folder."""
        self.name, self.stated = name, ()
        self._root = path.parent
        try:
            self.records, self._files = _records(path, name, Reach(path.parent, allow_outside=allow_outside))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise TwofoldError(
                f"the manifest '{name}' cannot be read ({error}); it must be a CSV file in UTF-8. Export it again."
            ) from error
        if not self.records:
            raise TwofoldError(f"the manifest '{name}' lists no picture; it needs a line for each. Add some.")

    def stamp(self) -> str:
        """Over the lines, and size and times of every file."""
        files = zip(self.records, self._files, strict=True)
        lines = [(r.path, r.label, r.split, stamp_path(Path(file))) for r, file in files]
        return digest(["manifest", str(self._root.resolve()), lines])

    def open(self, index: int) -> BinaryIO:
        """The file of a record, open for reading."""
        return open_regular(self._files[index])

    def read(self, index: int) -> bytes:
        """The content of a record's file."""
        return read_regular(self._files[index])


def _records(path: Path, name: str, reach: Reach) -> tuple[list[Record], list[str]]:
    """One for each line, and the file it names."""
    lines: dict[str, tuple[int, str]] = {}  # file -> the line that names it, and how
    records = []
    for number, row in _rows(path, name):
        where = f"line {number} of '{name}'"
        picture = row["path"].strip()
        if not picture:
            raise TwofoldError(f"{where} has an empty path, but every line names a picture. Fill or remove the line.")
        file = reach.find(picture, where)
        if file in lines:
            before, spelt = lines[file]
            also = "" if spelt == picture else f", where it is spelt '{spelt}'"
            raise TwofoldError(f"{where} repeats the path '{picture}' of line {before}{also}. Remove one of them.")
        lines[file] = number, picture
        split = resolve_split(row.get("split") or "", where)
        records.append(Record(path=picture, label=(row.get("label") or "").strip() or None, split=split))
    return records, list(lines)


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
