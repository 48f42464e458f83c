"""Labels from the tables that Hugging Face's imagefolder keeps beside images: metadata.csv and metadata.jsonl."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from twofold.data.findings import Finding
from twofold.data.record import Record
from twofold.data.sources.cells import read_table
from twofold.data.sources.columns import GROUP, LABEL, pick
from twofold.data.sources.data_file import LocalFile
from twofold.data.sources.names import label_of
from twofold.data.sources.table import whole_numbers
from twofold.errors import TwofoldError

_NAMES = ("metadata.csv", "metadata.jsonl")


def is_metadata(table: str) -> bool:
    """Whether a table has one of the names that imagefolder looks for."""
    return PurePosixPath(table).name.lower() in _NAMES


def with_metadata(
    records: Sequence[Record], root: Path, tables: Sequence[str]
) -> tuple[Sequence[Record], list[Finding]]:
    """The records with labels and groups from such tables, where they give any label, and a finding that says so.

    A table names files of its own folder in the column file_name. Raises TwofoldError for one that cannot be read.
    """
    label_by_path: dict[str, str | None] = {}
    group_by_path: dict[str, str | None] = {}
    for table in filter(is_metadata, tables):
        try:
            cells = read_table(LocalFile(root / table), table, ["file_name"])
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise TwofoldError(f"the table '{table}' cannot be read ({error}). Correct or remove it.") from error
        file = pick(cells.header, None, "file_name", "path-column", table)
        label = pick(cells.header, None, LABEL, "label-column", table)
        group = pick(cells.header, None, GROUP, "group-column", table)
        for row in cells.rows if file and label else ():
            path = str(PurePosixPath(table).parent / row[file or ""].strip())
            label_by_path[path] = label_of(row[label or ""])
            group_by_path[path] = label_of(row[group]) if group else None
    if not label_by_path:
        return records, []
    labels = whole_numbers([label_by_path.get(record.path) for record in records])
    count = sum(label is not None for label in labels)
    if not count:
        return records, []
    groups = [group_by_path.get(record.path) for record in records]
    told = zip(records, labels, groups, strict=True)
    text = f"labels of {count:,} of {len(records):,} images come from {', '.join(filter(is_metadata, tables))}"
    return [replace(record, label=own, group=group) for record, own, group in told], [Finding("TF028", text)]
