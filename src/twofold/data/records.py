"""The records of many images as columns: four lists instead of an object an image."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, overload

from twofold.data.record import Record


class Records(Sequence[Record]):
    """Records that are made when they are asked for, and lists of what they hold."""

    def __init__(
        self,
        paths: list[str],
        labels: list[str | None],
        splits: list[str | None],
        groups: list[str | None] | None = None,  # None: no image has one
    ) -> None:
        self.paths, self.labels, self.splits = paths, labels, splits
        self.groups = groups if groups is not None else [None] * len(paths)

    @classmethod
    def of(cls, records: Sequence[Record]) -> "Records":
        """The same records in columns."""
        if isinstance(records, Records):
            return records
        return cls(
            [record.path for record in records],
            [record.label for record in records],
            [record.split for record in records],
            [record.group for record in records],
        )

    @cached_property
    def label_counts(self) -> Counter[str]:
        """Images of each label."""
        counts = Counter(self.labels)
        return Counter({label: count for label, count in counts.items() if label is not None})

    def take(self, rows: Iterable[int]) -> "Records":
        """Those at these places, in their order."""
        places = list(rows)
        columns = (self.paths, self.labels, self.splits, self.groups)
        return Records(*([column[place] for place in places] for column in columns))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> "Records": ...
    def __getitem__(self, place: int | slice) -> "Record | Records":
        if isinstance(place, slice):
            return self.take(range(len(self))[place])
        return _record(self.paths[place], self.labels[place], self.splits[place], self.groups[place])

    def __iter__(self) -> Iterator[Record]:
        return map(_record, self.paths, self.labels, self.splits, self.groups)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(Record.__eq__, self, other))


def _record(path: str, label: str | None, split: str | None, group: str | None) -> Record:
    return Record(path=path, label=label, split=split, group=group)
