"""Tables in and out: CSV files of decisions, and of labels."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from twofold.errors import TwofoldError
from twofold.files import require_free, write_atomically

_ENCODING = {"encoding": "utf-8", "errors": "surrogateescape"}  # names of files may be any bytes


def write_csv(path: Path, columns: Mapping[str, Sequence[object]], flag: str = "--out") -> Path:
    """Write columns of equal length as CSV, whole or not at all; None is an empty cell, a float has 6 digits.

    An earlier file with the same columns is replaced. Raises TwofoldError naming `flag` for any other file there, and
    for a place that cannot be written.
    """
    path = Path(path)
    require_free(path, flag, is_own=lambda file: _header(file) == list(columns))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in zip(*columns.values(), strict=True))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, stream.getvalue().encode(**_ENCODING))
    except OSError as error:
        raise TwofoldError(
            f"cannot write '{path}' ({error.strerror}); a place that can be written is needed. Change {flag}."
        ) from error
    return path


def read_labels(path: Path, known: Sequence[str], flag: str) -> list[str | None]:
    """The label of each image in `known` (their paths), from a CSV file with the columns path and label.

    An empty label is none; images that are not in the file have none. Raises TwofoldError naming `flag` for a file that
    cannot be read or lacks a column, for a path that is not in `known`, and for one with two labels.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise TwofoldError(f"cannot read '{path}' ({error.strerror}). Change {flag}.") from error
    lines = csv.DictReader(io.StringIO(text, newline=""))
    if missing := {"path", "label"} - set(lines.fieldnames or ()):
        raise TwofoldError(
            f"'{path}' has no column {' and no column '.join(sorted(missing))}, but labels are read from the columns "
            f"path and label. Change {flag}."
        )
    places = {name: place for place, name in enumerate(known)}
    labels: list[str | None] = [None] * len(known)
    for number, line in enumerate(lines, start=2):
        name, label = line["path"], (line["label"] or "").strip() or None
        if name not in places:
            raise TwofoldError(
                f"line {number} of '{path}' names {name!r}, which is not an image of the data. Give paths as 'twofold "
                f"embed' writes them, or change {flag}."
            )
        earlier = labels[places[name]]
        if earlier is not None and label is not None and earlier != label:
            raise TwofoldError(
                f"line {number} of '{path}' gives {name!r} the label {label!r}, an earlier one {earlier!r}. "
                "Keep one of them."
            )
        labels[places[name]] = label if label is not None else earlier
    return labels


def _cell(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value


def _header(path: Path) -> list[str] | None:
    try:
        with path.open(newline="", **_ENCODING) as file:  # type: ignore[call-overload]
            return next(csv.reader(file), None)
    except (OSError, csv.Error):
        return None
