"""Claims of the paper, and what the results say of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from twofold.studies.engine.cell import HALVED
from twofold.studies.engine.results import Results
from twofold.studies.engine.spread import Term, sum_interval

REPRODUCED, CONTRADICTED, UNDECIDED = "reproduced", "contradicted", "undecided"
NOT_TESTABLE = "not testable here"
VERDICTS = (REPRODUCED, CONTRADICTED, UNDECIDED, NOT_TESTABLE)
_POINT = 0.01


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A weighted sum of values, seed by seed: {("a", "top1"): 1, ("b", "top1"): -1} is a minus b.

    The keys of `weights` are (cell's name, metric). The sum minus `above` is what is judged: it is claimed to be over
    0; or, with `within`, to lie between -within and within.
    """

    name: str
    weights: Mapping[Term, float]
    within: float | None = None
    above: float = 0.0

    @property
    def metric(self) -> str:
        """The metric of the first term, which gives the sum its unit."""
        return next(iter(self.weights))[1]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence of the paper, the paper's own figure for it, and the comparisons that must all hold.

    A claim can be tested here where its cells have learnt, its `premises` hold (where there is no gap, none can close)
    and, if `settled`, the last doubling of the length moves no comparison by a point or more. `why_not` is what may
    explain a result that differs at a small scale; it is printed only then.
    """

    text: str
    paper: str
    comparisons: tuple[Comparison, ...]
    why_not: str
    premises: tuple[Comparison, ...] = ()
    settled: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One comparison: its mean over the seeds that all its cells share, and the 95 % interval.

    `over` says what the interval covers: "images and seeds", or "seeds" alone.
    """

    name: str
    metric: str
    difference: float | None
    low: float | None
    high: float | None
    seeds: int
    over: str
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the results say of a claim. The figures are those of the comparison that decided: the weakest.

    Where a premise does not hold, the claim is not `asked`, and they are the premise's. `unchecked` are sentences on
    what the rule could not look at.
    """

    claim: str
    paper: str
    verdict: str
    difference: float | None
    low: float | None
    high: float | None
    seeds: int
    over: str
    decided_by: str
    metric: str
    within: float | None
    asked: bool
    outcomes: list[Outcome]
    why_not: str
    unchecked: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def judge(claim: Claim, results: Results) -> Verdict:
    """Not testable here, by the rule below; otherwise reproduced where every comparison holds, contradicted where one
    is refuted, undecided else.

    A comparison holds where its whole 95 % interval lies above 0 (between -within and within: two one-sided tests),
    and is refuted where it lies below 0 (outside of them). With fewer than two seeds in common there is no interval.
    The rule, in this order: a cell has failed; a premise does not hold, and the claim is not asked; the last doubling
    of the length moves a comparison by more than a point (its whole interval).
    """
    premises, shared = _of_premises(claim, results)
    pairs = [(compare(comparison, results), comparison) for comparison in claim.comparisons]
    lengths = [(compare(one, results), one) for one in map(_last_doubling, claim.comparisons) if claim.settled]
    lengths = [pair for pair in lengths if pair[0].seeds > 1]
    missing = [pair for pair in premises if pair[0].verdict != REPRODUCED]
    moving = [pair for pair in lengths if pair[0].verdict == CONTRADICTED]
    failed = _failures(claim, results)
    verdicts = {outcome.verdict for outcome, _ in pairs}
    verdict = CONTRADICTED if CONTRADICTED in verdicts else UNDECIDED if UNDECIDED in verdicts else REPRODUCED
    deciding, reason = [pair for pair in pairs if pair[0].verdict == verdict], ""
    if failed:
        verdict, reason = NOT_TESTABLE, f"Not testable here: {'; '.join(failed)}. "
    elif missing:
        deciding, verdict = missing, NOT_TESTABLE if all(one.low is not None for one, _ in missing) else UNDECIDED
        reason = f"Not asked, as its premise does not hold, whose figures these are: {_weakest(missing)[0].name}. "
    elif moving:
        deciding, verdict = moving, NOT_TESTABLE
        reason = "Not testable here: twice the length still moves the result by more than a point. "
    weakest, comparison = _weakest(deciding)
    return Verdict(
        claim=claim.text,
        paper=claim.paper,
        verdict=verdict,
        difference=weakest.difference,
        low=weakest.low,
        high=weakest.high,
        seeds=weakest.seeds,
        over=weakest.over,
        decided_by=weakest.name,
        metric=weakest.metric,
        within=comparison.within,
        asked=bool(failed) or not missing,
        outcomes=[outcome for outcome, _ in [*premises, *pairs, *lengths]],
        why_not="" if verdict == REPRODUCED else reason + claim.why_not,
        unchecked=_unchecked(claim, results, shared=shared, lengths=bool(lengths)) if pairs[0][0].seeds else [],
    )


def compare(comparison: Comparison, results: Results, *, premise: bool = False) -> Outcome:
    """The weighted sum over the seeds that all its cells have; with `premise` over the seeds of premises."""
    every = [set(results.seeds(*term, premise=premise)) for term in comparison.weights]
    seeds = sorted(set.intersection(*every))
    (mean, low, high), over = sum_interval(comparison.weights, results, seeds) if seeds else ((None, None, None), "")
    if mean is not None:
        mean = mean - comparison.above
    if low is not None and high is not None:
        low, high = low - comparison.above, high - comparison.above
    return Outcome(
        name=comparison.name,
        metric=comparison.metric,
        difference=mean,
        low=low,
        high=high,
        seeds=len(seeds),
        over=over,
        verdict=_verdict(low, high, comparison.within),
    )


def _of_premises(claim: Claim, results: Results) -> tuple[list[tuple[Outcome, Comparison]], bool]:
    """Each premise with its outcome, and whether one had to be judged by cells of the claim, for want of its own."""
    own = [(compare(premise, results, premise=True), premise) for premise in claim.premises]
    shared = any(outcome.seeds == 0 for outcome, _ in own)
    return [(compare(premise, results), premise) if one.seeds == 0 else (one, premise) for one, premise in own], shared


def _last_doubling(comparison: Comparison) -> Comparison:
    """What the whole length adds to a comparison at half of it: claimed to be less than a point."""
    halves = {(name + HALVED, metric): -weight for (name, metric), weight in comparison.weights.items()}
    name = f"{comparison.name}: change by the last doubling of the length"
    return Comparison(name=name, weights={**comparison.weights, **halves}, within=_POINT)


def _names(claim: Claim) -> list[str]:
    every = (*claim.premises, *claim.comparisons)
    return list(dict.fromkeys(name for comparison in every for name, _ in comparison.weights))


def _failures(claim: Claim, results: Results) -> list[str]:
    return [
        f"{name} learnt nothing with {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
        for name in _names(claim)
        if (seeds := results.failed(name))
    ]


def _unchecked(claim: Claim, results: Results, *, shared: bool, lengths: bool) -> list[str]:
    """What an older version or an unfinished study has not recorded."""
    unknown = not all(map(results.knows_whether_learnt, _names(claim)))
    return [
        *(["Whether all cells learnt is not recorded."] if unknown else []),
        *(["The premise has no cells of its own."] if shared else []),
        *(["What half the length gives is not recorded."] if claim.settled and not lengths else []),
    ]


def _weakest(pairs: Sequence[tuple[Outcome, Comparison]]) -> tuple[Outcome, Comparison]:
    return min(pairs, key=_reserve)


def minus(better: str, worse: str, metric: str = "top1") -> Comparison:
    """better - worse > 0."""
    return Comparison(name=f"{better} minus {worse}", weights={(better, metric): 1.0, (worse, metric): -1.0})


def mean_of(names: Sequence[str], sign: float = 1.0, metric: str = "top1") -> dict[Term, float]:
    """The weights of a mean over cells, times `sign`."""
    return {(name, metric): sign / len(names) for name in names}


def _verdict(low: float | None, high: float | None, within: float | None) -> str:
    if low is None or high is None:
        return UNDECIDED
    if within is None:
        return REPRODUCED if low > 0 else CONTRADICTED if high < 0 else UNDECIDED
    if -within < low and high < within:
        return REPRODUCED
    return CONTRADICTED if low > within or high < -within else UNDECIDED


def _reserve(pair: tuple[Outcome, Comparison]) -> float:
    """How far its mean is on the claim's side, in half widths of its interval: the smaller, the weaker.

    The lower end of the interval would not do: it compares how large differences are, not how sure.
    """
    outcome, comparison = pair
    if outcome.difference is None or outcome.low is None or outcome.high is None:
        return -math.inf
    side = outcome.difference if comparison.within is None else comparison.within - abs(outcome.difference)
    half = (outcome.high - outcome.low) / 2
    return side / half if half > 0 else math.copysign(math.inf, side)
