"""The linear probe: logistic regression on fixed features, its weight decay chosen on labels that it may see.

Legend: n rows, d features, c channels. Test features enter nothing but the predictions.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, Integer
from torch import Tensor, nn

from twofold.evaluation.features import Features, encode
from twofold.evaluation.labels import FOLDS, LEAST_SELECTION, Fold, Labels, MeasuredRows, given_places, stratified_folds
from twofold.evaluation.logistic_regression import (
    LinearProbe,
    cross_entropy,
    fit_linear,
    fit_scaling,
    fitting_threads,
    side_by_side,
)
from twofold.evaluation.predictions import Predictions, rank_classes, softmax_confidence, top1
from twofold.models.finite import require_finite

# strong to weak: each fit starts from the one before; the paper's range, 1e5 to 1e-6 (appendix B.8; reference 5.3)
L2_GRID = tuple(10.0**power for power in range(5, -7, -1))
FINE_L2_GRID = tuple(10.0 ** (5 - 11 * place / 44) for place in range(45))  # and the paper's 45 values of it
FEW_L2_GRID = (1e1, 1e0, 1e-1, 1e-2, 1e-3, 1e-4)
FEW_SHOT_L2 = 1e-2  # 1 to 4 labels per class always separate: from 0.1 down the accuracy is flat, above it falls
_LARGE = 1_000_000  # numbers: below, a fine fit costs nothing
_COARSE = 1e-6  # a third of the time of a fine fit; on the sample's pixels the path's accuracies agree to 0.005


@dataclass(frozen=True)
class LinearProbeResult:
    """What a linear probe got: `top1` in [0, 1], the class of each test row, and the weight decay that was chosen."""

    top1: float
    predicted: Int64[Tensor, " m"]
    l2: float


def linear_probe(
    encoder: nn.Module,
    train: tuple[Float[Tensor, "n c s1 s2"], Integer[Tensor, " n"]],
    test: tuple[Float[Tensor, "m c s1 s2"], Integer[Tensor, " m"]],
    *,
    batch_size: int = 512,
) -> LinearProbeResult:
    """Top-1 accuracy of logistic regression on the frozen encoder's features (paper, section 4.2 and appendix B.8).

    `train` and `test` are (images, labels): views as the encoder takes them, and class numbers from 0. The encoder maps
    (b, c, s, s) to (b, d); it runs in evaluation mode on the device of its first parameter, and nothing of it changes.
    Features are scaled by the mean and deviation of train; the weight decay is chosen among 12 values by 5-fold
    cross-validation on train (on one fold where that has 500 images or more). Test labels are only counted.
    Raises NotFiniteError for features that are not finite.

    >>> images, labels = torch.rand(40, 1, 4, 4, generator=torch.manual_seed(0)), torch.arange(40) % 2
    >>> images[labels == 1, :, :2] += 1
    >>> linear_probe(nn.Flatten(), (images[:30], labels[:30]), (images[30:], labels[30:])).top1
    1.0
    """
    device = next((parameter.device for parameter in encoder.parameters()), train[0].device)

    def batches(images: Tensor) -> Iterator[Tensor]:
        return (part.to(device) for part in images.split(batch_size))

    h, asked = (encode(encoder, batches(images)) for images, _ in (train, test))
    y = train[1].cpu().numpy()
    scaling = fit_scaling(h)
    folds = stratified_folds(y)[: 1 if len(y) >= FOLDS * LEAST_SELECTION else None]
    [(probe, l2)] = fit_probes(scaling(h), y, classes=int(y.max()) + 1, draws=[folds])
    predicted = probe.predict(scaling(asked))
    return LinearProbeResult(top1(test[1].cpu().numpy(), predicted), torch.from_numpy(predicted), l2)


def predict_by_linear_probe(
    features: Features,
    rows: MeasuredRows,
    draws: Sequence[tuple[int, Labels]],
    *,
    encoder: str,
    weights: int | None,
    folds: dict[int, list[Fold]],
    grid: Sequence[float] = L2_GRID,
) -> list[Predictions]:
    """Predictions for test with the labels of each draw (seed, budget).

    With all labels, L2 is chosen on the `folds` of the seed. Features are shifted and scaled by the mean and deviation
    of all train images, whatever the number of labels.
    """
    scaling = fit_scaling(features.train)
    x, test, y = scaling(features.train), scaling(features.test), rows.train_ids
    classes = len(rows.classes)
    fitted: list[tuple[LinearProbe, float, Labels, int]] = []
    whole = [seed for seed, labels in draws if labels == "all"]
    if whole:
        probes = fit_probes(x, y, classes=classes, draws=[folds[seed] for seed in whole], grid=grid)
        fitted += [(probe, l2, "all", seed) for seed, (probe, l2) in zip(whole, probes, strict=True)]
    fitted += [
        (*fit_draw(x, rows, labels, seed, folds=folds, grid=grid), labels, seed)
        for seed, labels in draws
        if labels != "all"
    ]
    return [
        Predictions(
            protocol="linear",
            encoder=encoder,
            labels=labels,
            seed=seed,
            ranked=rank_classes(logits := probe.logits(test)),
            confidence=softmax_confidence(logits),
            l2=l2,
            weights=weights,
            converged=probe.converged,
        )
        for probe, l2, labels, seed in fitted
    ]


def fit_draw(
    x: Float32[np.ndarray, "n d"],
    rows: MeasuredRows,
    labels: Labels,
    seed: int,
    *,
    folds: dict[int, list[Fold]],
    grid: Sequence[float] = L2_GRID,
) -> tuple[LinearProbe, float]:
    """The probe of one draw on the scaled features `x` of train, and its l2; with all labels by the seed's `folds`."""
    y, classes = rows.train_ids, len(rows.classes)
    if labels == "all":
        return fit_probes(x, y, classes=classes, draws=[folds[seed]], grid=grid)[0]
    own = given_places(y, labels, seed, rows.groups)
    shots = int(np.median(np.bincount(y[own], minlength=classes)))
    return fit_few(x[own], y[own], classes=classes, shots=shots, groups=rows.groups_of(own))


@dataclass(frozen=True)
class Choice:
    """A strength of weight decay, and where to start fitting on all rows: the first fold's probe, if there is one."""

    l2: float
    start: LinearProbe | None


def choose_l2(
    x: Float32[np.ndarray, "n d"],
    y: Integer[np.ndarray, " n"],
    *,
    classes: int,
    folds: Sequence[Fold],
    grid: Sequence[float] = L2_GRID,
) -> Choice:
    """The value of `grid` whose probes, fitted on the kept rows of each fold, have the least cross-entropy on the cut.

    Cross-entropy tells more of a few images than how many are right. The path ends after two values in a row whose
    cross-entropy each rose: along it the decay weakens, and a probe that has begun to overfit goes on to.
    """
    probes: list[LinearProbe | None] = [None] * len(folds)
    losses: list[float] = []
    starts: list[LinearProbe] = []
    tolerance = _COARSE if x.size > _LARGE else 1e-9
    for l2 in grid:
        loss = 0.0
        for place, (kept, cut) in enumerate(folds):
            probe = probes[place] = fit_linear(x[kept], y[kept], classes, l2, probes[place], tolerance=tolerance)
            loss += cross_entropy(probe.logits(x[cut]), y[cut]) * len(cut)
            starts += [probe] if place == 0 else []
        losses.append(loss)
        if len(losses) > 2 and losses[-3] < losses[-2] < losses[-1]:
            break
    chosen = losses.index(min(losses))
    return Choice(grid[chosen], starts[chosen])


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
    x: Float32[np.ndarray, "n d"],
    y: Integer[np.ndarray, " n"],
    *,
    classes: int,
    shots: int,
    groups: Int64[np.ndarray, " n"] | None = None,
) -> tuple[LinearProbe, float]:
    """`fit_probes` on `shots` labels per class: l2 by cross-validation within them, or FEW_SHOT_L2 below 5."""
    folds = stratified_folds(y, groups=groups) if shots >= FOLDS else []
    return fit_probes(x, y, classes=classes, draws=[folds], grid=FEW_L2_GRID)[0]
