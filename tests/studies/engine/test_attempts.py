"""A cell that learns nothing is trained again at lower rates; one that never does has failed."""

import numpy as np
import pytest

from twofold.studies.engine.attempts import attempt, packed, unpacked
from twofold.studies.engine.cell import Cell
from twofold.studies.engine.claim import NOT_TESTABLE, Claim, judge, minus
from twofold.studies.engine.grid import results_in
from twofold.studies.engine.measures import Measured
from twofold.studies.engine.provenance import code_digest
from twofold.studies.engine.scale import LAPTOP
from twofold.studies.show.wording import counted, label


def tried(cell: Cell, learns_at: float) -> tuple[dict[str, object], list[float]]:
    """The record of a cell that learns where its rate is divided by so much, and what was tried."""
    divisors: list[float] = []

    def measure(slower: float) -> Measured:
        divisors.append(slower)
        return Measured(values={"top1": 0.1 * slower}, learnt=slower >= learns_at)

    return attempt(cell, measure), divisors


@pytest.mark.parametrize(("learns_at", "divisors"), [(1, [1]), (2, [1, 3]), (9, [1, 3, 9]), (99, [1, 3, 9])])
def test_rates_are_lowered_until_something_is_learnt(learns_at: float, divisors: list[float]) -> None:
    record, tries = tried(Cell(name="a"), learns_at)
    assert tries == divisors
    assert record["rates_divided_by"] == divisors[-1]
    assert record["learnt"] is (learns_at <= 9)
    assert len(record.get("tries", [])) == len(divisors) - 1  # type: ignore[arg-type]


@pytest.mark.parametrize("cell", [Cell(name="a", on="selection"), Cell(name="a", may_fail=True)])
def test_what_is_chosen_among_rates_and_what_may_fail_is_tried_once(cell: Cell) -> None:
    assert tried(cell, 99)[1] == [1]


def records(**learnt: bool) -> list[dict[str, object]]:
    """Two seeds of each cell, one of which fails where it is False."""
    return [
        {
            "name": name,
            "seed": seed,
            "on": "test",
            "recipe": {},
            "measure": {"top1": 0.5 + 0.01 * seed},
            "learnt": one or seed == 1,
        }
        for name, one in learnt.items()
        for seed in (0, 1)
    ]


def test_a_cell_that_failed_is_in_no_mean_and_its_claims_cannot_be_tested() -> None:
    found = results_in(records(a=True, b=False), LAPTOP)
    assert found.values("b", "top1") == [0.51]
    assert found.failed("b") == [0]
    claim = Claim(text="a beats b", paper="", comparisons=(minus("a", "b"),), why_not="")
    verdict = judge(claim, found)
    assert verdict.verdict == NOT_TESTABLE
    assert verdict.asked
    assert "b learnt nothing with seed 0" in verdict.why_not
    assert label(verdict.to_dict()) == NOT_TESTABLE
    assert counted([verdict.to_dict()]) == "1 not testable here"


def test_a_failure_that_is_a_result_counts() -> None:
    found = results_in([{**one, "may_fail": True} for one in records(b=False)], LAPTOP)
    assert found.values("b", "top1") == [0.5, 0.51]
    assert found.failed("b") == []


@pytest.mark.parametrize(("accuracy", "failed"), [(4.9, [0]), (5.1, [])])
def test_of_older_cells_the_positive_pairs_are_known(accuracy: float, failed: list[int]) -> None:
    batch = LAPTOP.base.schedule.batch_size
    (one, _) = records(a=True)
    del one["learnt"]
    found = results_in([{**one, "measure": {"top1": 0.5, "contrast_accuracy": accuracy / batch}}], LAPTOP)
    assert found.failed("a") == failed
    assert found.knows_whether_learnt("a") is bool(failed)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 1000])
def test_which_images_are_right_comes_back_from_text(count: int) -> None:
    right = np.random.default_rng(count).random(count) < 0.5
    np.testing.assert_array_equal(unpacked(packed({"top1": right}))["top1"], right)


def test_the_digest_is_of_the_code_that_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    from twofold.studies.engine import provenance

    before = code_digest()
    assert code_digest.__wrapped__() == before
    monkeypatch.setattr(provenance, "_MEASURING", ("evaluation",))
    assert code_digest.__wrapped__() != before
    assert len(before) == 12
