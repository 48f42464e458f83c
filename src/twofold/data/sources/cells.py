"""From the bytes of a table of text to its cells: encoding, separator, header and lines."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass

from twofold.data.findings import Finding
from twofold.data.sources.columns import plain_name
from twofold.data.sources.data_file import DataFile
from twofold.errors import TwofoldError

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_MOST_BEFORE = 12  # lines above a header
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True)
class Table:
    """The cells of a table as text."""

    header: list[str]
    rows: list[dict[str, str]]  # column -> cell
    lines: list[int]  # the number of the line in the file at which each row ends
    findings: list[Finding]
    is_json: bool = False  # lists and objects in it are cells of JSON


def read_table(file: DataFile, name: str, wanted: Sequence[str]) -> Table:
    """A table in UTF-8 (with or without its mark), UTF-16 or Windows-1252, parted by commas, semicolons, tabs or bars.

    A .jsonl has an object of JSON on each line, whose keys are the columns.

    The header is the first line, or the first below comments (#), empty lines and a title that has a cell of `wanted`
    (as `columns.plain_name` has it); such a cell tells the separator too.
    Raises TwofoldError where a line has more cells than the header, OSError and csv.Error where it cannot be read.
    """
    text, encoding = _decode(file.read())
    text = text if "\n" in text else text.replace("\r", "\n")  # as the old Macintosh ended lines
    if file.path.suffix.lower() == ".jsonl":
        return _of_json(text, name)
    first = 0
    if text[:4].lower() == "sep=":  # how Excel says what parts the cells
        first, text = 1, text.partition("\n")[2]
    before = _lines_before(text, wanted)
    text = text.split("\n", before)[before]
    separator = _separator(text.partition("\n")[0], wanted)
    findings = []
    if encoding != "utf-8" or separator != "," or before:
        below = f", its header in line {first + before + 1}" if before else ""
        said = f"'{name}' is read as {encoding}, with cells parted by {_SEPARATORS[separator]}{below}"
        findings.append(Finding("TF020", said))
    first += before
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header = [column.strip() for column in next(reader, [])]
    rows, lines = [], []
    for cells in reader:
        if not any(cells):
            continue
        while len(cells) > len(header) and not cells[-1].strip():
            cells.pop()
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
            raise TwofoldError(f"line {number} of '{name}' is not JSON ({error}). Correct or remove it.") from error
        if not isinstance(row, dict):
            raise TwofoldError(f"line {number} of '{name}' is not a JSON object. Correct it.")
        rows.append({key: _cell(value) for key, value in row.items()})
        lines.append(number)
    header = list(dict.fromkeys(column for row in rows for column in row))
    told = [{column: row.get(column, "") for column in header} for row in rows]
    return Table(header, told, lines, [], is_json=True)


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


def _lines_before(text: str, wanted: Sequence[str]) -> int:
    """How many lines stand above the header."""
    lines = text.split("\n", _MOST_BEFORE)[:_MOST_BEFORE]
    for number, line in enumerate(lines):
        ways = _parted(line)
        if any(plain_name(cell) in wanted for cells in ways.values() for cell in cells):
            return number
        is_title = max(sum(bool(cell.strip()) for cell in cells) for cells in ways.values()) < 2
        if not is_title and not line.startswith("#"):
            break
    return next((number for number, line in enumerate(lines) if line.strip() and not line.startswith("#")), 0)


def _separator(line: str, wanted: Sequence[str]) -> str:
    ways = _parted(line)
    for separator, cells in ways.items():
        if any(plain_name(cell) in wanted for cell in cells):
            return separator
    return max(_SEPARATORS, key=lambda one: len(ways[one]))


def _parted(line: str) -> dict[str, list[str]]:
    """The cells of a line by each separator."""
    return {one: next(csv.reader([line.rstrip("\r")], delimiter=one), []) for one in _SEPARATORS}
