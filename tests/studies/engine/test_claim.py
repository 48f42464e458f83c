"""Verdicts on made-up results: a clear win, a clear loss, noise."""

import math

import pytest
from scipy import stats

from twofold.studies.engine.cell import HALVED, PREMISE_SEED, Cell
from twofold.studies.engine.claim import (
    CONTRADICTED,
    NOT_TESTABLE,
    REPRODUCED,
    UNDECIDED,
    Claim,
    Comparison,
    compare,
    judge,
    mean_of,
    minus,
)
from twofold.studies.engine.results import Results
from twofold.studies.show.wording import here


def results_of(**values: list[float]) -> Results:
    """Cells by name with a value for each seed from 0 on; nan: not measured with that seed."""
    found = Results()
    for name, numbers in values.items():
        for seed, number in enumerate(numbers):
            if not math.isnan(number):
                found.add(Cell(name=name, seed=seed), {"top1": number, "other": 1 - number})
    return found


def claim(*comparisons: Comparison) -> Claim:
    return Claim(text="a beats b", paper="by 10", comparisons=comparisons, why_not="too short")


WIN = results_of(a=[0.60, 0.62, 0.61], b=[0.50, 0.515, 0.512])
NOISE = results_of(a=[0.50, 0.60, 0.55], b=[0.55, 0.52, 0.57])


def test_a_clear_win_a_clear_loss_and_noise() -> None:
    assert judge(claim(minus("a", "b")), WIN).verdict == REPRODUCED
    assert judge(claim(minus("b", "a")), WIN).verdict == CONTRADICTED
    assert judge(claim(minus("a", "b")), NOISE).verdict == UNDECIDED
    assert judge(claim(minus("b", "a")), NOISE).verdict == UNDECIDED


def test_the_interval_is_scipys_over_paired_differences() -> None:
    found = judge(claim(minus("a", "b")), WIN)
    pairs = [0.10, 0.105, 0.098]
    test = stats.ttest_1samp(pairs, 0.0).confidence_interval(0.95)
    assert found.difference == pytest.approx(sum(pairs) / 3)
    assert (found.low, found.high) == pytest.approx((test.low, test.high))
    assert found.seeds == 3


def test_pairing_decides_where_the_seeds_vary_more_than_the_difference() -> None:
    shared = results_of(a=[0.42, 0.62, 0.525], b=[0.40, 0.60, 0.50])
    assert judge(claim(minus("a", "b")), shared).verdict == REPRODUCED
    shuffled = results_of(a=[0.42, 0.62, 0.525], b=[0.60, 0.50, 0.40])
    assert judge(claim(minus("a", "b")), shuffled).verdict == UNDECIDED


def test_one_seed_decides_nothing() -> None:
    verdict = judge(claim(minus("a", "b")), results_of(a=[0.9], b=[0.1]))
    assert (verdict.verdict, verdict.low, verdict.high, verdict.seeds) == (UNDECIDED, None, None, 1)
    assert verdict.difference == pytest.approx(0.8)


def test_nothing_measured_is_undecided() -> None:
    verdict = judge(claim(minus("a", "b")), Results())
    assert (verdict.verdict, verdict.difference, verdict.seeds) == (UNDECIDED, None, 0)


def test_only_seeds_that_both_have_are_compared() -> None:
    found = results_of(a=[0.6, 0.6, 0.6, 0.1], b=[math.nan, 0.5, 0.51, math.nan])
    outcome = compare(minus("a", "b"), found)
    assert outcome.seeds == 2
    assert outcome.difference == pytest.approx(0.095)


def test_every_comparison_must_hold_and_the_weakest_is_shown() -> None:
    found = results_of(a=[0.60, 0.62, 0.61], b=[0.5, 0.515, 0.512], c=[0.3, 0.31, 0.32], d=[0.605, 0.615, 0.61])
    both = judge(claim(minus("a", "c"), minus("a", "b")), found)
    assert (both.verdict, both.decided_by) == (REPRODUCED, "a minus b")
    assert judge(claim(minus("a", "b"), minus("a", "d")), found).verdict == UNDECIDED
    refuted = judge(claim(minus("a", "b"), minus("c", "b"), minus("a", "d")), found)
    assert (refuted.verdict, refuted.decided_by) == (CONTRADICTED, "c minus b")
    assert [outcome.verdict for outcome in refuted.outcomes] == [REPRODUCED, CONTRADICTED, UNDECIDED]


def test_the_weakest_is_the_least_sure_not_the_one_with_the_lowest_end() -> None:
    """a is above b by 2 points, give or take 0.1, and above c by 21, give or take 17: c is the weaker."""
    found = results_of(
        a=[0.60, 0.60, 0.60], b=[0.58, 0.5805, 0.5795], c=[0.46, 0.32, 0.40], d=[0.4, 0.4005, 0.3995], e=[0.1] * 3
    )
    sure, unsure = minus("a", "b"), minus("a", "c")
    ends = [compare(one, found).low for one in (sure, unsure)]
    assert 0 < ends[0] < ends[1]
    decided = judge(claim(sure, unsure), found)
    assert (decided.verdict, decided.decided_by) == (REPRODUCED, "a minus c")
    refuted = judge(claim(minus("b", "a"), minus("c", "a")), found)
    assert (refuted.verdict, refuted.decided_by) == (CONTRADICTED, "b minus a")


@pytest.mark.parametrize(
    ("b", "verdict"),
    [([0.60, 0.621, 0.609], REPRODUCED), ([0.5, 0.515, 0.512], CONTRADICTED), ([0.5, 0.7, 0.61], UNDECIDED)],
)
def test_hardly_any_difference_is_a_claim_too(b: list[float], verdict: str) -> None:
    within = Comparison(name="a minus b", weights={("a", "top1"): 1.0, ("b", "top1"): -1.0}, within=0.02)
    assert judge(claim(within), results_of(a=[0.60, 0.62, 0.61], b=b)).verdict == verdict


def test_without_its_premise_a_claim_is_not_asked() -> None:
    gap, helps = minus("a", "b"), minus("c", "b")
    asked = Claim(text="c closes the gap", paper="", comparisons=(helps,), premises=(gap,), why_not="no gap")
    ahead, behind = [0.60, 0.62, 0.61], [0.50, 0.515, 0.512]
    held = judge(asked, results_of(a=ahead, b=behind, c=ahead))
    assert (held.verdict, held.asked, here(held.to_dict())[0]) == (REPRODUCED, True, "+")
    assert judge(asked, results_of(a=ahead, b=behind, c=[0.4, 0.42, 0.41])).verdict == CONTRADICTED
    for c in (ahead, [0.4, 0.42, 0.41]):
        verdict = judge(asked, results_of(a=behind, b=behind[::-1], c=c))
        assert (verdict.verdict, verdict.decided_by) == (NOT_TESTABLE, gap.name)
        assert not verdict.asked
        assert verdict.why_not == "Not asked, as its premise does not hold, whose figures these are: a minus b. no gap"
        assert here(verdict.to_dict()).startswith("premise: ")
        assert [outcome.name for outcome in verdict.outcomes] == [gap.name, helps.name]
    negative = judge(asked, results_of(a=behind, b=ahead, c=[0.7, 0.72, 0.71]))
    assert negative.verdict == NOT_TESTABLE


def test_sums_of_cells_and_of_metrics() -> None:
    found = results_of(a=[0.6, 0.7], b=[0.4, 0.5], c=[0.1, 0.3])
    means = Comparison(name="mean of a and b minus c", weights=mean_of(["a", "b"]) | mean_of(["c"], -1.0))
    assert compare(means, found).difference == pytest.approx((0.4 + 0.3) / 2)
    metrics = Comparison(name="two metrics of a", weights={("a", "top1"): 1.0, ("a", "other"): -1.0})
    assert compare(metrics, found).difference == pytest.approx((0.2 + 0.4) / 2)
    assert metrics.metric == "top1"


def test_the_reason_is_given_only_where_the_claim_does_not_hold() -> None:
    assert judge(claim(minus("a", "b")), WIN).why_not == ""
    assert judge(claim(minus("b", "a")), WIN).why_not == "too short"


def test_what_twice_the_length_still_moves_cannot_be_tested_here() -> None:
    settled = Claim(text="a beats b", paper="", comparisons=(minus("a", "b"),), why_not="short", settled=True)
    whole = {"a": [0.60, 0.62, 0.61], "b": [0.50, 0.515, 0.512]}
    moved = results_of(**whole, **{f"a{HALVED}": [0.55, 0.56, 0.55], f"b{HALVED}": [0.50, 0.515, 0.512]})
    verdict = judge(settled, moved)
    assert (verdict.verdict, verdict.asked) == (NOT_TESTABLE, True)
    assert verdict.decided_by == "a minus b: change by the last doubling of the length"
    together = results_of(**whole, **{f"a{HALVED}": [0.50, 0.52, 0.51], f"b{HALVED}": [0.40, 0.415, 0.412]})
    assert judge(settled, together).verdict == REPRODUCED, "both gain ten points, their difference nothing"
    assert judge(settled, results_of(**whole)).unchecked[-1] == "What half the length gives is not recorded."


def test_premises_are_judged_by_cells_of_their_own() -> None:
    gap, helps = minus("a", "b"), minus("c", "b")
    asked = Claim(text="c closes the gap", paper="", comparisons=(helps,), premises=(gap,), why_not="no gap")
    found = results_of(a=[0.60, 0.62, 0.61], b=[0.50, 0.515, 0.512], c=[0.60, 0.62, 0.61])
    assert "The premise has no cells of its own." in judge(asked, found).unchecked
    for seed in range(3):  # by luck the claim's own cells show a gap, the premise's do not
        for name in ("a", "b"):
            found.add(Cell(name=name, seed=PREMISE_SEED + seed), {"top1": 0.5 + 0.01 * seed * (name == "a")})
    verdict = judge(asked, found)
    assert (verdict.verdict, verdict.asked) == (NOT_TESTABLE, False)
    assert "The premise has no cells of its own." not in verdict.unchecked
    assert compare(helps, found).seeds == 3


def test_a_bound_other_than_zero_is_taken_off() -> None:
    above = Comparison(name="a above chance", weights={("a", "top1"): 1.0}, above=0.55)
    assert compare(above, WIN).difference == pytest.approx(0.06)
    assert judge(claim(above), WIN).verdict == REPRODUCED
