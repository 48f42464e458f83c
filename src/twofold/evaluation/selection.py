"""The strength of the probe's weight decay, chosen on labels that it may see and on no others."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Integer

from twofold.evaluation.linear import LinearProbe, cross_entropy, fit_linear
from twofold.evaluation.threads import fitting_threads, side_by_side
from twofold.models.finite import require_finite

# strong to weak: each fit starts from the one before; the paper's range, 1e5 to 1e-6 (appendix B.8; reference 5.3)
L2_GRID = tuple(10.0**power for power in range(5, -7, -1))
FINE_L2_GRID = tuple(10.0 ** (5 - 11 * place / 44) for place in range(45))  # and the paper's 45 values of it
FEW_L2_GRID = (1e1, 1e0, 1e-1, 1e-2, 1e-3, 1e-4)
FOLDS = 5
FEW_SHOT_L2 = 1e-2  # 1 to 4 labels per class always separate: from 0.1 down the accuracy is flat, above it falls


@dataclass(frozen=True)
class Choice:
    """A strength of weight decay, and where to start fitting on all rows: the first fold's probe, if there is one."""

    l2: float
    start: LinearProbe | None


_LARGE = 1_000_000  # numbers: below, a fine fit costs nothing
_COARSE = 1e-6  # a third of the time of a fine fit; on the sample's pixels the path's accuracies agree to 0.005

Fold = tuple[Integer[np.ndarray, " _"], Integer[np.ndarray, " _"]]


def choose_l2(
    x: Float32[np.ndarray, "n d"],
    y: Integer[np.ndarray, " n"],
    *,
    classes: int,
    folds: Sequence[Fold],
    grid: Sequence[float] = L2_GRID,
) -> Choice:
    """The value of `grid` whose probes, fitted on the kept rows of each fold, get most of the cut rows right.

    Of equals, the one with the lower cross-entropy on the cut rows. The path ends after two values in a row that get
    fewer right than the best so far and whose cross-entropy each rose: along it the decay weakens, and a probe that
    has begun to overfit goes on to. Fewer right alone is no sign of it: where one class is nearly all, the probe that
    always says so is right at first, and becomes so again only when it has learnt more.
    """
    probes: list[LinearProbe | None] = [None] * len(folds)
    scores: list[tuple[int, float]] = []  # right, minus cross-entropy: the largest is the best
    starts: list[LinearProbe] = []
    tolerance = _COARSE if x.size > _LARGE else 1e-9
    for l2 in grid:
        right, loss = 0, 0.0
        for place, (kept, cut) in enumerate(folds):
            probe = probes[place] = fit_linear(x[kept], y[kept], classes, l2, probes[place], tolerance=tolerance)
            logits = probe.logits(x[cut])
            right += int((logits.argmax(1) == y[cut]).sum())
            loss += cross_entropy(logits, y[cut]) * len(cut)
            starts += [probe] if place == 0 else []
        scores.append((right, -loss))
        if _has_turned(scores):
            break
    chosen = scores.index(max(scores))
    return Choice(grid[chosen], starts[chosen])


def _has_turned(scores: Sequence[tuple[int, float]]) -> bool:
    if len(scores) < 3:
        return False
    best = max(right for right, _ in scores)
    before, first, second = scores[-3:]
    return max(first[0], second[0]) < best and before[1] > first[1] > second[1]


def stratified_folds(y: Integer[np.ndarray, " n"], count: int = FOLDS) -> list[Fold]:
    """`count` pairs of (kept, cut) row numbers: the rows of each class are dealt out in turn, in the given order.

    Fewer pairs where no class has that many rows; none where each class has one.
    """
    turn = np.empty(len(y), dtype=np.int64)
    for label in np.unique(y):
        own = np.flatnonzero(y == label)
        turn[own] = np.arange(len(own)) % count
    folds = [(np.flatnonzero(turn != fold), np.flatnonzero(turn == fold)) for fold in range(count)]
    return [(kept, cut) for kept, cut in folds if len(kept) and len(cut)]


def fit_probes(
    x: Float32[np.ndarray, "n d"],
    y: Integer[np.ndarray, " n"],
    *,
    classes: int,
    draws: Sequence[Sequence[Fold]],
    grid: Sequence[float] = L2_GRID,
) -> list[tuple[LinearProbe, float]]:
    """For each draw of folds, the probe on all rows and its l2: chosen on the folds, FEW_SHOT_L2 where there are none.

    Draws that choose the same l2 share one probe: on all rows there is no other. With fewer rows than features it is
    fitted in the space that the rows span, where the optimum lies: the penalty does not change under rotation.
    Raises NotFiniteError for an x that is not finite.
    """
    require_finite(x)
    basis = None
    if len(x) < x.shape[1]:
        with fitting_threads(x.size * classes):
            basis = np.linalg.qr(x.T)[0]
    inner = x if basis is None else x @ basis

    def choose(folds: Sequence[Fold]) -> Choice:
        if not folds:
            return Choice(FEW_SHOT_L2, None)
        return choose_l2(inner, y, classes=classes, folds=folds, grid=grid)

    with side_by_side(len(draws)) as workers:
        choices = list(workers.map(choose, draws))
    probes: dict[float, LinearProbe] = {}
    for choice in choices:
        if choice.l2 not in probes:
            probe = fit_linear(inner, y, classes, choice.l2, choice.start)
            probes[choice.l2] = probe if basis is None else dataclasses.replace(probe, weight=basis @ probe.weight)
    return [(probes[choice.l2], choice.l2) for choice in choices]


def fit_few(
    x: Float32[np.ndarray, "n d"], y: Integer[np.ndarray, " n"], *, classes: int, shots: int
) -> tuple[LinearProbe, float]:
    """`fit_probes` on `shots` labels per class: l2 by cross-validation within them, or FEW_SHOT_L2 below 5."""
    folds = stratified_folds(y) if shots >= FOLDS else []
    return fit_probes(x, y, classes=classes, draws=[folds], grid=FEW_L2_GRID)[0]
