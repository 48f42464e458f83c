"""Self-training from the linear probe: how it is done is chosen on labels that are left out, and so is whether.

Legend: n images that may be given labels, m others, d = length of h, k classes.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, Integer
from torch import nn

from twofold.data import ImageSet
from twofold.data.splits import permutation
from twofold.errors import DivergedError, NotFiniteError
from twofold.evaluation.calibration import fit_temperature, softmax
from twofold.evaluation.class_shares import estimate_shares
from twofold.evaluation.features import Hardware, embed_images
from twofold.evaluation.labels import FOLDS, Fold, stratified_folds
from twofold.evaluation.linear_probe import fit_few
from twofold.evaluation.logistic_regression import LinearProbe, Scaling, cross_entropy
from twofold.evaluation.networks import Network, build_network
from twofold.evaluation.self_training import SelfTraining, fit_by_self_training
from twofold.recipes.recipe import ViewsRecipe

STEPS = 3000
WAYS = (  # the first serves where too few images are left out to choose among them
    SelfTraining(rate=0.06, threshold=0.8),
    SelfTraining(rate=0.03, threshold=0.8),
    SelfTraining(rate=0.06, threshold=0.5),
)
TRIAL = 4  # times shorter than training is a trial of how to train,
LEAST_TRIAL = 600  # of no fewer steps, where training has as many: in fewer a gain rarely shows
LEAST_LEFT_OUT = 100  # images, or all five folds
_ASKED = 2000  # unlabelled images that two teachers must agree on
_FOR_SHARES = 5000  # unlabelled images


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How to self-train; None: not at all, since the probe does better. `held_out` are logits of the images `cut`."""

    how: SelfTraining | None
    cut: Int64[np.ndarray, " c"]  # places within the images that have labels
    held_out: Float32[np.ndarray, "c k"]


@dataclass(frozen=True, kw_only=True)
class SelfTrainer:
    """An encoder with images to train it on: those in `rows` may be given labels, those in `unlabelled` have none.

    `h` are the embeddings of `rows` and `scaling` is that of the linear probe. Where an image is in both, its label
    plays no part among the unlabelled ones.
    """

    encoder: nn.Module
    images: ImageSet
    views: ViewsRecipe
    hardware: Hardware
    rows: Int64[np.ndarray, " n"]
    ids: Int64[np.ndarray, " n"]  # classes of `rows`, 0 .. classes - 1; only those of given places are read
    classes: int
    h: Float32[np.ndarray, "n d"]
    scaling: Scaling
    unlabelled: Int64[np.ndarray, " m"]
    groups: Int64[np.ndarray, " n"] | None = None
    steps: int = STEPS
    _probes: dict[bytes, LinearProbe] = field(default_factory=dict, init=False, repr=False)  # by the places of labels

    def probe(self, own: Integer[np.ndarray, " a"]) -> LinearProbe:
        """The linear probe on h as it is, fitted on the labels of the places `own`."""
        if (key := own.tobytes()) not in self._probes:
            ids, groups = self.ids[own], self._groups_of(own)
            shots = int(np.bincount(ids, minlength=self.classes).min())
            fitted = fit_few(self.scaling(self.h[own]), ids, classes=self.classes, shots=shots, groups=groups)[0]
            self._probes[key] = fitted.unscaled(self.scaling)
        return self._probes[key]

    def train(self, own: Integer[np.ndarray, " a"], how: SelfTraining | None, seed: int) -> Network:
        """The network that predicts, given the labels of the places `own`; for None, the probe."""
        return self._train(own, how, seed, self.steps, self.unlabelled)

    def logits(self, network: Network, asked: Int64[np.ndarray, " q"]) -> Float32[np.ndarray, "q k"]:
        """Logits for the central views of rows of the image set. Raises DivergedError where some are not finite."""
        try:
            return embed_images(network, self.images, asked, views=self.views, hardware=self.hardware)
        except NotFiniteError as error:
            raise DivergedError(f"self-training ended in numbers that are not finite ({error})") from error

    def choose(self, own: Integer[np.ndarray, " a"], *, least: int = LEAST_LEFT_OUT) -> Choice:
        """Choose on the labels of the places `own` alone, by networks that are trained for `trial_steps`.

        With five labels a class and more: each way of self-training, and the probe, are fitted on four fifths of the
        labels and judged on the others, which are not among the unlabelled images then, by cross-entropy at the best
        temperature. As many folds serve as it takes to leave out `least` images; where one fold has fewer, the ways are
        not told apart, and the first is compared with the probe. With fewer labels: two networks, of the first way,
        each on half of the labels, must agree more on the unlabelled images than the probes of the same halves do. With
        one label of some class nothing can be checked: it is the probe.
        """
        ids = self.ids[own]
        counts = np.bincount(ids, minlength=self.classes)
        if counts.min() >= FOLDS and (folds := stratified_folds(ids, groups=self._groups_of(own))):
            return self._by_folds(own, folds, least)
        halves = stratified_folds(ids, 2, self._groups_of(own)) if counts.min() >= 2 else []
        how = WAYS[0] if len(halves) == 2 and self._agree(own, halves) else None
        return Choice(how=how, cut=np.zeros(0, np.int64), held_out=np.zeros((0, self.classes), np.float32))

    def _by_folds(self, own: Integer[np.ndarray, " a"], folds: list[Fold], least: int) -> Choice:
        needed = -(-least // max(1, min(len(cut) for _, cut in folds)))
        folds = folds[:needed]
        ways = WAYS if len(folds) == 1 else WAYS[:1]
        cut = np.concatenate([places for _, places in folds]).astype(np.int64)
        answers: dict[SelfTraining | None, Float32[np.ndarray, "c k"]] = {}
        for how in (None, *ways):
            try:
                answers[how] = np.concatenate([self._left_out(own, fold, how) for fold in folds])
            except DivergedError:
                continue
        ids = self.ids[own][cut]
        losses = {
            how: cross_entropy((logits / fit_temperature(logits, ids)).astype(np.float32), ids)
            for how, logits in answers.items()
        }
        best = min(losses, key=lambda how: losses[how])
        return Choice(how=best, cut=cut, held_out=answers[best])

    def _left_out(
        self, own: Integer[np.ndarray, " a"], fold: Fold, how: SelfTraining | None
    ) -> Float32[np.ndarray, "c k"]:
        kept, cut = (own[places] for places in fold)
        network = self._train(kept, how, 0, trial_steps(self.steps), self._apart_from(cut))
        return self.logits(network, self.rows[cut])

    def _agree(self, own: Integer[np.ndarray, " a"], halves: list[Fold]) -> bool:
        asked = self._some_unlabelled(_ASKED)
        agreement = []
        for how in (None, WAYS[0]):
            first, second = (
                self.logits(self._train(own[kept], how, 0, trial_steps(self.steps), self.unlabelled), asked).argmax(1)
                for kept, _ in halves
            )
            agreement.append(kappa(first, second, self.classes))
        return agreement[1] > agreement[0]

    def _train(
        self,
        own: Integer[np.ndarray, " a"],
        how: SelfTraining | None,
        seed: int,
        steps: int,
        unlabelled: Int64[np.ndarray, " b"],
    ) -> Network:
        network = self._network(self.probe(own))
        if how is None or not len(unlabelled):
            return network
        teacher = fit_by_self_training(
            network,
            self.images,
            self.rows[own],
            self.ids[own],
            unlabelled,
            shares=self.shares(own),
            views=self.views,
            hardware=self.hardware,
            how=how,
            steps=steps,
            seed=seed,
        )
        assert isinstance(teacher, Network)
        return teacher

    def shares(self, own: Integer[np.ndarray, " a"]) -> Float64[np.ndarray, " k"] | None:
        """The shares of the classes among the unlabelled images, estimated from the given labels; None: unknown.

        They are unknown with fewer than five labels of some class: nothing then says how far the probe can be trusted.
        """
        ids = self.ids[own]
        counts = np.bincount(ids, minlength=self.classes)
        folds = stratified_folds(ids, groups=self._groups_of(own)) if counts.min() >= FOLDS else []
        if not folds:
            return None
        kept, cut = (own[places] for places in folds[0])
        temperature = fit_temperature(self.probe(kept).logits(self.h[cut]), self.ids[cut])
        probabilities = softmax(self.probe(own).logits(self._unlabelled_h), temperature)
        return estimate_shares(probabilities, counts / counts.sum())

    def _network(self, probe: LinearProbe) -> Network:
        """The encoder with the probe on top: it predicts as the probe does."""
        dim, classes = probe.weight.shape
        network = build_network(self.encoder, dim=dim, classes=classes, hardware=self.hardware, seed=0)
        with torch.no_grad():
            network.classifier.weight.copy_(torch.from_numpy(probe.weight.T))
            network.classifier.bias.copy_(torch.from_numpy(probe.bias))
        return network

    @cached_property
    def _unlabelled_h(self) -> Float32[np.ndarray, "p d"]:
        asked = self._some_unlabelled(_FOR_SHARES)
        return embed_images(self.encoder, self.images, asked, views=self.views, hardware=self.hardware)

    def _some_unlabelled(self, most: int) -> Int64[np.ndarray, " p"]:
        return np.sort(self.unlabelled[permutation(len(self.unlabelled), 0)[:most]])

    def _apart_from(self, cut: Integer[np.ndarray, " c"]) -> Int64[np.ndarray, " b"]:
        """The unlabelled images without those at the places `cut`, and without others of their groups."""
        return apart_from(self.images, self.unlabelled, self.rows[cut])

    def _groups_of(self, own: Integer[np.ndarray, " a"]) -> Int64[np.ndarray, " a"] | None:
        return None if self.groups is None else self.groups[own]


def apart_from(
    images: ImageSet, rows: Int64[np.ndarray, " b"], left_out: Integer[np.ndarray, " c"]
) -> Int64[np.ndarray, " a"]:
    """Those of `rows` that are neither left out nor of a group of which an image is."""
    out = set(left_out.tolist())
    if images.groups:
        names = {images.groups[row] for row in out} - {None}
        out |= {row for row in rows.tolist() if images.groups[row] in names}
    return rows[~np.isin(rows, list(out))]


def trial_steps(steps: int) -> int:
    """How long a trial is of a training of `steps` steps: a fourth, but 600 or, where these are fewer, all of them.

    >>> trial_steps(3000), trial_steps(1000), trial_steps(300)
    (750, 600, 300)
    """
    return min(steps, max(LEAST_TRIAL, steps // TRIAL))


def trainings_to_choose(labels: int, classes: int) -> int:
    """How many short trainings `SelfTrainer.choose` takes with so many labels, equally many a class."""
    if labels < 2 * classes:
        return 0
    if labels < FOLDS * classes:
        return 2
    folds = min(FOLDS, -(-LEAST_LEFT_OUT * FOLDS // labels))
    return folds if folds > 1 else len(WAYS)


def kappa(first: Int64[np.ndarray, " n"], second: Int64[np.ndarray, " n"], classes: int) -> float:
    """Cohen's kappa, at most 1: (agreement - chance) / (1 - chance); 0 where both give one class to all.

    Chance is the agreement of two that give the classes as often, each without looking.
    """
    agreement = float((first == second).mean())
    shares = [np.bincount(ids, minlength=classes) / len(ids) for ids in (first, second)]
    chance = float(shares[0] @ shares[1])
    return (agreement - chance) / (1 - chance) if chance < 1 else 0.0
