"""Records in columns are the records that they were made of."""

import random

import pytest

from twofold.data import Record
from twofold.data.records import Records

DRAW = random.Random(0)
MADE = [
    Record(
        path=f"{DRAW.choice('ab')}/{number}.png",
        label=DRAW.choice(("cat", "dog", None)),
        split=DRAW.choice(("train", "test", None)),
        group=DRAW.choice(("p1", None)),
    )
    for number in range(50)
]


def test_they_are_a_sequence_of_what_they_were_made_of() -> None:
    columns = Records.of(MADE)
    assert list(columns) == MADE
    assert columns == MADE
    assert [columns[place] for place in range(-50, 50)] == [*MADE, *MADE]
    assert list(columns[3:40:7]) == MADE[3:40:7]
    assert list(columns.take([9, 2, 2])) == [MADE[9], MADE[2], MADE[2]]
    assert columns != MADE[:-1]
    assert columns != [*MADE[:-1], Record(path="another")]
    with pytest.raises(IndexError):
        columns[50]


def test_columns_are_those_of_the_records_and_are_made_once() -> None:
    columns = Records.of(MADE)
    assert columns.paths == [record.path for record in MADE]
    assert columns.labels == [record.label for record in MADE]
    assert columns.splits == [record.split for record in MADE]
    assert columns.groups == [record.group for record in MADE]
    assert Records.of(columns) is columns


def test_without_groups_no_record_has_one() -> None:
    assert [one.group for one in Records(["a", "b"], ["x", None], [None, "test"])] == [None, None]
