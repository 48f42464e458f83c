"""Working through units: the total is said first, what was kept is not done again, and the order is theirs."""

import numpy as np
import pytest

from twofold.evaluation import progress
from twofold.evaluation.attempt import Attempt
from twofold.evaluation.ledger import Ledger
from twofold.evaluation.plan import Unit
from twofold.evaluation.progress import work_through


def _attempt(name):
    return Attempt(
        protocol="linear",
        encoder=name,
        labels="all",
        seed=0,
        ranked=np.zeros((2, 1), np.int64),
        confidence=np.ones(2, np.float32),
    )


class Work:
    """Units that say when they are done; `broken` names one that is interrupted."""

    def __init__(self, seconds=(10.0, 20.0, 30.0), broken=None):
        self.done, self.broken, self.clock = [], broken, 0.0
        self.units = [
            Unit(name=name, title=f"title {name}", seconds=seconds[place], make=lambda name=name: self._make(name))
            for place, name in enumerate("abcdefg"[: len(seconds)])
        ]

    def _make(self, name):
        if name == self.broken:
            raise KeyboardInterrupt
        self.done.append(name)
        self.clock += 2 * next(unit.seconds for unit in self.units if unit.name == name)  # twice as long as guessed
        return [_attempt(name), _attempt(name * 2)]

    def through(self, ledger):
        lines = []
        attempts = work_through(self.units, ledger, lines.append)
        return [attempt.encoder for attempt in attempts], lines


@pytest.fixture
def work(monkeypatch):
    def make(**options):
        made = Work(**options)
        monkeypatch.setattr(progress.time, "monotonic", lambda: made.clock)
        return made

    return make


ALL = ["a", "aa", "b", "bb", "c", "cc"]


@pytest.mark.parametrize("kept", [True, False])
def test_the_total_is_said_first_then_each_unit_with_what_is_left(work, tmp_path, kept):
    names, lines = work().through(Ledger(tmp_path if kept else None, {}))
    assert names == ALL
    assert lines == [
        "3 measurements: about 1 min 00 s",
        "[1 of 3] title a: 20 s, about 1 min 40 s left",  # 50 s were guessed, and all takes twice as long
        "[2 of 3] title b: 40 s, about 1 min 00 s left",
        "[3 of 3] title c: 1 min 00 s",
    ]


def test_after_an_interruption_what_was_kept_is_counted_and_not_repeated(work, tmp_path):
    first = work(broken="c")
    with pytest.raises(KeyboardInterrupt):
        first.through(Ledger(tmp_path, {}))
    assert first.done == ["a", "b"]
    second = work()
    names, lines = second.through(Ledger(tmp_path, {}))
    assert second.done == ["c"]
    assert names == ALL
    assert lines == [
        "3 measurements, 2 of them made before an interruption: about 30 s",
        "[3 of 3] title c: 1 min 00 s",
    ]


def test_where_all_is_kept_nothing_is_done_and_the_same_comes_out(work, tmp_path):
    work().through(Ledger(tmp_path, {}))
    again = work()
    names, lines = again.through(Ledger(tmp_path, {}))
    assert (again.done, names) == ([], ALL)
    assert lines == ["3 measurements, 3 of them made before an interruption: about 0 s"]


def test_units_are_found_by_name_wherever_they_stand(work, tmp_path):
    first = work()
    first.units = first.units[1:2]
    first.through(Ledger(tmp_path, {}))
    second = work()
    names, lines = second.through(Ledger(tmp_path, {}))
    assert second.done == ["a", "c"]
    assert names == ALL
    assert [line.split("]")[0] for line in lines[1:]] == ["[1 of 3", "[3 of 3"]


def test_under_another_key_everything_is_done(work, tmp_path):
    work().through(Ledger(tmp_path, {}))
    again = work()
    _, lines = again.through(Ledger(tmp_path, {"weights": "others"}))
    assert again.done == ["a", "b", "c"]
    assert lines[0] == "3 measurements: about 1 min 00 s"


def test_a_damaged_unit_is_done_again(work, tmp_path):
    work().through(Ledger(tmp_path, {}))
    path = sorted(tmp_path.rglob("*.npz"))[1]
    path.write_bytes(path.read_bytes()[:-30])
    again = work()
    names, _ = again.through(Ledger(tmp_path, {}))
    assert len(again.done) == 1
    assert names == ALL


def test_nothing_guessed_and_nothing_to_do_are_no_errors(work, tmp_path):
    names, lines = work(seconds=(0.0, 0.0)).through(Ledger(tmp_path, {}))
    assert names == ALL[:4]
    assert lines[0] == "2 measurements: about 0 s"
    assert work(seconds=()).through(Ledger(None, {})) == ([], ["0 measurements: about 0 s"])
