"""From the bytes of a table of text to its cells: encoding, separator, header and lines."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass

from twofold.data.findings import Finding
from twofold.data.sources.data_file import DataFile
from twofold.errors import TwofoldError

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True)
class Table:
    """The cells of a table as text."""

    header: list[str]
    rows: list[dict[str, str]]  # column -> cell
    lines: list[int]  # the number of the line in the file at which each row ends
    findings: list[Finding]


def read_table(file: DataFile, name: str, wanted: Sequence[str]) -> Table:
    """A table in UTF-8 (with or without its mark), UTF-16 or Windows-1252, parted by commas, semicolons, tabs or bars.

    A .jsonl has an object of JSON on each line, whose keys are the columns.

    The separator is the one that parts the first line into cells of which one is among `wanted` (small letters).
    Raises TwofoldError where a line has more cells than the header, OSError and csv.Error where it cannot be read.
    """
    text, encoding = _decode(file.read())
    if file.path.suffix.lower() == ".jsonl":
        return _of_json(text, name)
    first = 0
    if text[:4].lower() == "sep=":  # how Excel says what parts the cells
        first, text = 1, text.partition("\n")[2]
    separator = _separator(text.partition("\n")[0], wanted)
    findings = []
    if encoding != "utf-8" or separator != ",":
        findings.append(
            Finding("TF020", f"'{name}' is read as {encoding}, with cells parted by {_SEPARATORS[separator]}")
        )
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header = [column.strip() for column in next(reader, [])]
    rows, lines = [], []
    for cells in reader:
        if not any(cells):
            continue
        if len(cells) > len(header):
            raise TwofoldError(
                f"line {first + reader.line_num} of '{name}' has {len(cells)} cells, but the header has {len(header)}. "
                f"Put quotes around a cell that holds one of the {_SEPARATORS[separator]}."
            )
        cells += [""] * (len(header) - len(cells))
        rows.append(dict(zip(header, cells, strict=True)))
        lines.append(first + reader.line_num)
    return Table(header, rows, lines, findings)


def _of_json(text: str, name: str) -> Table:
    rows, lines = list[dict[str, str]](), list[int]()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise TwofoldError(f"line {number} of '{name}' is no JSON ({error}). Correct or remove it.") from error
        if not isinstance(row, dict):
            raise TwofoldError(f"line {number} of '{name}' is no object of JSON, but each must be one. Correct it.")
        rows.append({key: _cell(value) for key, value in row.items()})
        lines.append(number)
    header = list(dict.fromkeys(column for row in rows for column in row))
    return Table(header, [{column: row.get(column, "") for column in header} for row in rows], lines, [])


def _cell(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _decode(content: bytes) -> tuple[str, str]:
    """(text, encoding): UTF-16 by its mark or its zero bytes, UTF-8 where it is valid, else Windows-1252."""
    if content[:2] in _MARKS:
        return content.decode("utf-16"), "UTF-16"
    for order, zeros in (("utf-16-be", content[:64:2]), ("utf-16-le", content[1:64:2])):
        if 2 * zeros.count(0) > len(zeros) > 0:
            return content.decode(order), "UTF-16"
    try:
        return content.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace"), "Windows-1252"


def _separator(line: str, wanted: Sequence[str]) -> str:
    cells = {one: next(csv.reader([line.rstrip("\r")], delimiter=one), []) for one in _SEPARATORS}
    for separator, columns in cells.items():
        if any(column.strip().lower() in wanted for column in columns):
            return separator
    return max(_SEPARATORS, key=lambda one: len(cells[one]))
