"""Which column of a table means what."""

from collections.abc import Sequence
from dataclasses import dataclass

from twofold.data.findings import Finding
from twofold.errors import TwofoldError, unknown_name

PATH = (
    "path filepath file_path image_path img_path filename file_name image_name image_file file image img image_id "
    "image_index url image_url"
)
IDS = "isic_id id_code uuid id name"
LABEL = "label labels class target class_name label_name category fine_label"
SPLIT = "split fold set subset partition usage phase"
_MAYBE_SPLIT = "is_train is_training istrain train_test is_test is_testing is_val is_valid is_validation"
GROUP = "group groups group_id"
_MAYBE_GROUP = (
    "patient patient_id subject subject_id slide slide_id site site_id burst burst_id plant plant_id case_id "
)
_MAYBE_GROUP += "video video_id lesion_id individual individual_id study_id series_id"


_ONES, _ZEROS = frozenset(["1", "1.0", "true"]), frozenset(["", "0", "0.0", "false"])


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns that a person named; None: the first of the usual names that the table has."""

    path: str | None = None
    label: str | None = None
    split: str | None = None
    group: str | None = None


def pick(header: Sequence[str], given: str | None, usual: str, flag: str, name: str) -> str | None:
    """The column of a table that holds something: the `given` one, or the first of the `usual` names that is there.

    Names are compared as `plain_name` has them. Raises TwofoldError where a given column is missing,
    and for a column whose name another one has too.
    """
    known = {plain_name(column): column for column in reversed(header)}
    if given is not None and plain_name(given) not in known:
        raise _no_column(header, given, flag, name)
    wanted = usual.split() if given is None else [plain_name(given)]
    column = next((known[one] for one in wanted if one in known), None)
    if column is not None:
        require_single(header, column, name)
    return column


def plain_name(column: str) -> str:
    """Image_Index and " image index" are image_index: a column without regard to case and blanks."""
    return "_".join(column.lower().split())


def require_single(header: Sequence[str], column: str, name: str) -> None:
    """Raises TwofoldError where several columns have the name `column`."""
    if (count := header.count(column)) > 1:
        raise TwofoldError(
            f"'{name}' has {count} columns '{column}', but the name of a column that is used must be there once. "
            "Rename or remove the others."
        )


def unused_groups(header: Sequence[str]) -> list[Finding]:
    """A finding on a column by which images may belong together, where no column of groups is used."""
    maybe = next((column for column in header if plain_name(column) in _MAYBE_GROUP.split()), None)
    return [Finding("TF024", f"the column '{maybe}' may be a group, and is not used")] if maybe else []


def unused_splits(header: Sequence[str], name: str) -> list[Finding]:
    """A finding on a column that may say which images are train and test, where no column of splits is used."""
    maybe = next((column for column in header if plain_name(column) in _MAYBE_SPLIT.split()), None)
    text = f"the column '{maybe}' of '{name}' may say which images are train and which are test, and is not used"
    return [Finding("TF025", text)] if maybe else []


def one_hot(rows: Sequence[dict[str, str]], used: Sequence[str | None]) -> tuple[list[str], int]:
    """Columns of zeros and ones that together may name a class, and how many lines have more than a single one.

    Two columns or more, each with a one somewhere; nothing but 0, 1, 0.0, 1.0, true, false and empty
    cells in them.
    """
    names = [column for column in (rows[0] if rows else {}) if column not in used]
    found = [column for column in names if _is_binary([row[column] for row in rows])]
    if len(found) < 2:
        return [], 0
    return found, sum(sum(is_one(row[column]) for column in found) > 1 for row in rows)


def is_one(cell: str) -> bool:
    """Whether a cell of a one-hot column is set."""
    return cell.strip().lower() in _ONES


def _is_binary(cells: Sequence[str]) -> bool:
    values = {cell.strip().lower() for cell in cells}
    return values <= _ONES | _ZEROS and bool(values & _ONES) and bool(values & _ZEROS)


def _no_column(header: Sequence[str], given: str, flag: str, name: str) -> TwofoldError:
    error = unknown_name("column", given, header)
    return TwofoldError(f"--{flag} for '{name}': {error}")
