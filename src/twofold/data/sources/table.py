"""A table of text: one image a line, with columns for path, label, split and group."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from twofold.data.findings import Finding
from twofold.data.formats import File
from twofold.data.record import Record, digest
from twofold.data.sources.addresses import distinct, is_address, place_of, shown_address
from twofold.data.sources.cells import Table, read_table
from twofold.data.sources.columns import (
    GROUP,
    IDS,
    LABEL,
    PATH,
    SPLIT,
    Columns,
    is_one,
    one_hot,
    pick,
    plain_name,
    unused_groups,
    unused_splits,
)
from twofold.data.sources.data_file import DataFile
from twofold.data.sources.names import is_no_label, label_of, names_a_split, resolve_split
from twofold.data.sources.place_reader import PlaceReader, unchanging
from twofold.data.sources.places import Places
from twofold.errors import TwofoldError

SUFFIXES = (".csv", ".tsv", ".jsonl")


class TableSource:
    """The images that a table lists, in its order. Columns that mean nothing here are ignored."""

    def __init__(
        self, file: DataFile, name: str, *, allow_outside: bool = False, columns: Columns | None = None
    ) -> None:
        """Raises TwofoldError, naming the line, where the table cannot be understood, or leads out of its folder."""
        self.name = name
        chosen = columns or Columns()
        try:
            table = read_table(file, name, [plain_name(chosen.path)] if chosen.path else f"{PATH} {IDS}".split())
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise TwofoldError(
                f"the table '{name}' cannot be read ({error}); it must be text with one image a line. Export it again."
            ) from error
        self.findings: list[Finding] = [*table.findings]
        used = _pick_columns(table, chosen, name)
        root = file.path.parent if isinstance(file.path, Path) else None
        places = Places(root, file.reach(allow_outside=allow_outside))
        names, self._files = _images(table, used["path"], places, name, self.findings)
        self._reader = PlaceReader(self._files, name)
        self.findings += unchanging(self._reader.addresses)
        labels = _labels(table, used, name, self.findings)
        splits = _splits(table, used["split"], chosen, name, self.findings)
        groups = _groups(table, used["group"], self.findings)
        cells = zip(names, labels, splits, groups, strict=True)
        self.records = [Record(path=p, label=label, split=split, group=group) for p, label, split, group in cells]

    def stamp(self) -> str:
        """Over the lines, and size and times of every file."""
        files = zip(self.records, self._files, strict=True)
        return digest(["manifest", [(r.path, r.label, r.split, *self._reader.stamp(file)) for r, file in files]])

    def file_stamps(self) -> Iterator[str]:
        """Each file's path, size and times."""
        return ("{} {}".format(*self._reader.stamp(file)) for file in self._files)

    def path_of(self, index: int) -> Path | None:
        """Where the file of a record lies, None at an address."""
        return None if is_address(self._files[index]) else Path(self._files[index])

    def open(self, index: int) -> File:
        """The file of a record, open for reading."""
        return self._reader.open(self._files[index])

    def read(self, index: int) -> bytes:
        """The content of a record's file."""
        return self._reader.read(self._files[index])


def _pick_columns(table: Table, chosen: Columns, name: str) -> dict[str, str | None]:
    """path, label, split and group -> the column of the table, or None."""
    header = table.header
    used = {
        "path": pick(header, chosen.path, f"{PATH} {IDS}", "path-column", name),
        "label": pick(header, chosen.label, LABEL, "label-column", name),
        "split": pick(header, chosen.split, SPLIT, "split-column", name),
        "group": pick(header, chosen.group, GROUP, "group-column", name),
    }
    if used["path"] is None:
        raise TwofoldError(
            f"line 1 of '{name}' is the header {','.join(header)!r}, but it must have a column 'path' (or image, file, "
            "filename, id). Add or rename it, or name the column by --path-column."
        )
    if not table.rows:
        raise TwofoldError(f"the table '{name}' lists no image; it needs a line for each. Add some.")
    return used


def _images(
    table: Table, column: str | None, places: Places, name: str, findings: list[Finding]
) -> tuple[list[str], list[str]]:
    """How each line calls its image, and the file that this is."""
    assert column is not None
    named: dict[str, tuple[int, str]] = {}  # place -> the line that names it, and how
    names, files, missing, completed = [], list[str](), list[str](), list[str]()
    for line, row in zip(table.lines, table.rows, strict=True):
        where, text = f"line {line} of '{name}'", row[column].strip()
        if not text:
            raise TwofoldError(f"{where} has an empty path, but every line names an image. Fill or remove the line.")
        place = places.find(text, where)
        key = place_of(place.file) if is_address(place.file) else place.file
        text = shown_address(text) if is_address(text) else text
        if key in named:
            before, spelt = named[key]
            also = "" if spelt == text else f", where it is spelt '{spelt}'"
            raise TwofoldError(f"{where} repeats the path '{text}' of line {before}{also}. Remove one of them.")
        named[key] = line, text
        names.append(text)
        files.append(place.file)
        if place.tried:
            missing.append(f"line {line}, column '{column}': '{text}' ({place.tried})")
        elif place.is_completed:
            completed.append(f"'{text}' is {Path(place.file).name}")
    if len(missing) == len(names):
        raise TwofoldError(
            f"none of the {len(names):,} files that '{name}' names is there: {missing[0]}. "
            "Put the table into the folder of the images, or correct the column."
        )
    if missing:
        findings.append(Finding("TF021", f"{len(missing):,} of {len(names):,} files are missing: {_first(missing)}"))
    if completed:
        findings.append(Finding("TF022", f"{len(completed):,} paths were completed: {_first(completed)}"))
    return distinct(names, files), files


def _labels(table: Table, used: dict[str, str | None], name: str, findings: list[Finding]) -> list[str | None]:
    """From the column of labels, else from one-hot columns."""
    column = used["label"]
    if column is not None:
        _require_one_label(table, column, name)
        cells = {row[column].strip() for row in table.rows}
        words = sorted(cell for cell in cells if cell and label_of(cell) is None)
        if words:
            count = sum(row[column].strip() in words for row in table.rows)
            said = ", ".join(f"'{word}'" for word in words)
            findings.append(Finding("TF009", f"{said} in the column '{column}' is read as no label ({count:,} lines)"))
        return whole_numbers([label_of(row[column]) for row in table.rows])
    ones, several = one_hot(table.rows, list(used.values()))
    if several:
        text = f"{several:,} lines of '{name}' have several ones in the columns {', '.join(ones)}: no label is used"
        findings.append(Finding("TF026", text))
    elif ones:
        findings.append(Finding("TF023", f"labels from the one-hot columns {', '.join(ones)}"))
        return [next((column for column in ones if is_one(row[column])), None) for row in table.rows]
    elif others := [column for column in table.header if column not in used.values()]:
        findings.append(Finding("TF027", f"no column of '{name}' is called label or class; others are {_few(others)}"))
    return [None] * len(table.rows)


def _require_one_label(table: Table, column: str, name: str) -> None:
    for row, line in zip(table.rows, table.lines, strict=True):
        if table.is_json and row[column][:1] in ("[", "{"):
            raise TwofoldError(
                f"line {line} of '{name}', column '{column}', has the label {row[column]}, but an image has one label, "
                "a text or a number. Name another column by --label-column."
            )


def whole_numbers(labels: list[str | None]) -> list[str | None]:
    """Whole numbers as 3 where some are 3.0, as they become beside missing ones; other labels as they are."""
    if all(label is None or label.removesuffix(".0").isdigit() for label in labels):
        return [label and label.removesuffix(".0") for label in labels]
    return labels


def _splits(table: Table, column: str | None, chosen: Columns, name: str, findings: list[Finding]) -> list[str | None]:
    if column is None:
        findings += unused_splits(table.header, name)
        return [None] * len(table.rows)
    cells = [row[column].strip() for row in table.rows]
    told = [cell for cell in cells if not is_no_label(cell)]
    if chosen.split is None and told and not any(map(names_a_split, told)):
        text = f"the column '{column}' of '{name}' holds {_few(sorted(set(told)))}, which name no split"
        findings.append(Finding("TF025", text))
        return [None] * len(cells)
    return [
        resolve_split(cell, f"line {line} of '{name}', column '{column}',")
        for cell, line in zip(cells, table.lines, strict=True)
    ]


def _groups(table: Table, column: str | None, findings: list[Finding]) -> list[str | None]:
    if column is not None:
        return [label_of(row[column]) for row in table.rows]
    findings += unused_groups(table.header)
    return [None] * len(table.rows)


def _first(texts: Sequence[str]) -> str:
    return texts[0] + (f"; and {len(texts) - 1:,} more" if len(texts) > 1 else "")


def _few(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")
