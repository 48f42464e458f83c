"""Claims of the paper, and what the results say of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from twofold.evaluation.intervals import mean_interval
from twofold.studies.engine.found import Found

Term = tuple[str, str]  # cell's name, metric
REPRODUCED, CONTRADICTED, UNDECIDED = "reproduced", "contradicted", "undecided"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A weighted sum of values, seed by seed: {("a", "top1"): 1, ("b", "top1"): -1} is a minus b.

    The keys of `weights` are (cell's name, metric). `within` None: the sum is claimed to be above 0. A number: it is
    claimed to lie between -within and within.
    """

    name: str
    weights: Mapping[Term, float]
    within: float | None = None

    @property
    def metric(self) -> str:
        """The metric of the first term, which gives the sum its unit."""
        return next(iter(self.weights))[1]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence of the paper, the paper's own figure for it, and the comparisons that must all hold.

    `premises` must hold for the claim to be asked at all: where there is no gap, none can close. `why_not` is what may
    explain a result that differs at a small scale; it is printed only then.
    """

    text: str
    paper: str
    comparisons: tuple[Comparison, ...]
    why_not: str
    premises: tuple[Comparison, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One comparison: its mean over the seeds that all its cells share, and the 95 % interval (Student's t)."""

    name: str
    metric: str
    difference: float | None
    low: float | None
    high: float | None
    seeds: int
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the results say of a claim. The figures are those of the comparison that decided: the weakest.

    Where a premise does not hold, the claim is not `asked`, and they are the premise's.
    """

    claim: str
    paper: str
    verdict: str
    difference: float | None
    low: float | None
    high: float | None
    seeds: int
    decided_by: str
    metric: str
    within: float | None
    asked: bool
    outcomes: list[Outcome]
    why_not: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def judge(claim: Claim, found: Found) -> Verdict:
    """Reproduced where every comparison holds, contradicted where one is refuted, undecided otherwise.

    A comparison holds where its whole 95 % interval lies above 0 (between -within and within), and is refuted where it
    lies below 0 (outside of them). With fewer than two seeds in common there is no interval: undecided. A premise that
    does not hold leaves the claim undecided: its figures are the verdict's, and `why_not` says so.
    """
    premises = [(compare(premise, found), premise) for premise in claim.premises]
    pairs = [(compare(comparison, found), comparison) for comparison in claim.comparisons]
    outcomes = [outcome for outcome, _ in [*premises, *pairs]]
    missing = [pair for pair in premises if pair[0].verdict != REPRODUCED]
    verdicts = {outcome.verdict for outcome, _ in pairs}
    verdict = CONTRADICTED if CONTRADICTED in verdicts else UNDECIDED if UNDECIDED in verdicts else REPRODUCED
    deciding = missing or [pair for pair in pairs if pair[0].verdict == verdict]
    verdict = UNDECIDED if missing else verdict
    weakest, comparison = min(deciding, key=_reserve)
    unasked = f"Not asked, as its premise does not hold, whose figures these are: {weakest.name}. " if missing else ""
    return Verdict(
        claim=claim.text,
        paper=claim.paper,
        verdict=verdict,
        difference=weakest.difference,
        low=weakest.low,
        high=weakest.high,
        seeds=weakest.seeds,
        decided_by=weakest.name,
        metric=weakest.metric,
        within=comparison.within,
        asked=not missing,
        outcomes=outcomes,
        why_not="" if verdict == REPRODUCED else unasked + claim.why_not,
    )


def compare(comparison: Comparison, found: Found) -> Outcome:
    """The weighted sum over the seeds that all its cells have."""
    seeds = sorted(set.intersection(*(set(found.seeds(name, metric)) for name, metric in comparison.weights)))
    sums = [
        sum(weight * found.value(name, metric, seed) for (name, metric), weight in comparison.weights.items())
        for seed in seeds
    ]
    mean, low, high = mean_interval(sums) if sums else (None, None, None)
    return Outcome(
        name=comparison.name,
        metric=comparison.metric,
        difference=mean,
        low=low,
        high=high,
        seeds=len(seeds),
        verdict=_verdict(low, high, comparison.within),
    )


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
