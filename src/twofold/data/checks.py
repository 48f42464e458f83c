"""What can be seen in the records alone: names of classes, classes that cannot be measured, groups, broken files."""

import re
import unicodedata
from collections.abc import Sequence

from twofold.data.findings import Finding
from twofold.data.formats import NO_DATA
from twofold.data.record import Record
from twofold.data.records import Records
from twofold.data.store import Quarantined

_DECIMAL = re.compile(r"[+-]?\d*[.,]?\d+([eE][+-]?\d+)?")
_NUMBER = re.compile(r"^0*(\d+)(\.0*)?$")


def check_records(
    records: Sequence[Record], splits: Sequence[str], test_from: str | None, quarantine: Sequence[Quarantined]
) -> list[Finding]:
    """Findings about readable records whose splits were assigned, and about the files that could not be read."""
    records = Records.of(records)
    return [
        *_similar_names(records),
        *_one_sided(records, splits, test_from),
        *_single_images(records),
        *_measured(records),
        *_groups(records, splits),
        *_unreadable(quarantine),
    ]


def _similar_names(records: Records) -> list[Finding]:
    """Classes whose names are the same without case, blanks, hyphens, underscores and the zeros of a number."""
    alike: dict[str, list[str]] = {}
    for label in sorted(records.label_counts):
        plain = re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", label)).casefold()
        alike.setdefault(_NUMBER.sub(r"\1", plain), []).append(label)
    pairs = [" and ".join(f"'{name}'" for name in names) for names in alike.values() if len(names) > 1]
    return [Finding("TF008", f"classes that differ by case or blanks alone: {_few(pairs)}")] if pairs else []


def _one_sided(records: Records, splits: Sequence[str], test_from: str | None) -> list[Finding]:
    """Classes of train or of test alone, where the test split is of the data's own."""
    if test_from not in ("own", "validation"):
        return []
    pairs = {pair for pair in set(zip(records.labels, splits, strict=True)) if pair[0] is not None}
    train, test = ({label for label, split in pairs if split == name} for name in ("train", "test"))
    if not train or not test or train == test:
        return []
    parts = [
        f"only in {name}: {_few(sorted(str(label) for label in only))}"
        for name, only in (("train", train - test), ("test", test - train))
        if only
    ]
    return [Finding("TF015", f"classes {'; '.join(parts)}; evaluation counts on the {len(train & test):,} others")]


def _single_images(records: Records) -> list[Finding]:
    counts = records.label_counts
    single = sorted(label for label, count in counts.items() if count == 1)
    if len(counts) < 2 or not single:
        return []
    return [Finding("TF018", f"{len(single):,} classes have a single image: {_few(single)}")]


def _measured(records: Records) -> list[Finding]:
    """Labels that are numbers with fractions, hardly any of them twice."""
    counts = records.label_counts
    are_numbers = all(map(_DECIMAL.fullmatch, counts)) and any(not _NUMBER.match(label) for label in counts)
    if not are_numbers or len(counts) < 3 or 2 * len(counts) <= counts.total():
        return []
    return [Finding("TF034", f"{len(counts):,} different numbers are the labels of {counts.total():,} images")]


def _groups(records: Records, splits: Sequence[str]) -> list[Finding]:
    """How many groups there are, and which of them stand in train and in test."""
    names = set(records.groups) - {None}
    if not names:
        return []
    pairs = {pair for pair in set(zip(records.groups, splits, strict=True)) if pair[0] is not None}
    findings = [Finding("TF030", f"{len(names):,} groups, which no cut divides")]
    both = sorted(group for group in names if group and {(group, "train"), (group, "test")} <= pairs)
    if both:
        findings.append(Finding("TF032", f"{len(both):,} groups have images in train and in test: {_few(both)}"))
    return findings


def _unreadable(quarantine: Sequence[Quarantined]) -> list[Finding]:
    """The files that cannot be read, and apart from them the images that hold no data."""
    findings = []
    empty = [one.path for one in quarantine if one.reason == NO_DATA]
    if empty:
        count = "1 image" if len(empty) == 1 else f"{len(empty):,} images"
        findings.append(Finding("TF075", f"{count} with nothing but nodata, set aside: {_few(empty)}"))
    broken = [f"{one.path}: {one.reason}" for one in quarantine if one.reason != NO_DATA]
    if broken:
        more = f"; and {len(broken) - 3:,} more" if len(broken) > 3 else ""
        count = "1 file" if len(broken) == 1 else f"{len(broken):,} files"
        findings.append(Finding("TF040", f"{count} cannot be read: {'; '.join(broken[:3])}{more}"))
    return findings


def _few(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
