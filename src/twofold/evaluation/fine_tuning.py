"""An encoder with a classifier on top, trained on labels: fine-tuning, training from scratch, a linear probe by SGD.

The learning rate is chosen on labels that the network may see, a fifth of the first labelled subset, never on test.
Legend: n images a step, c channels, s pixels a side of a view, d = length of h, k classes.
"""

import contextlib
import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn
from torch.nn import functional

from twofold.data import ImageSet, Loader, label_fraction, rows_of_step
from twofold.errors import DivergedError, NotFiniteError
from twofold.evaluation.features import Hardware, Subject, embed_images, frozen, head_part
from twofold.evaluation.labels import FOLDS, Fold, Labels, MeasuredRows, given_places, stratified_folds
from twofold.evaluation.logistic_regression import cross_entropy
from twofold.evaluation.predictions import Predictions, PredictionStore, rank_classes, softmax_confidence
from twofold.hardware.randomness import forked_random, seed_random, weights_of_seed
from twofold.optim import build_optimizer, lr_at, peak_lr
from twofold.recipes.recipe import Op, OptimRecipe, ViewsRecipe
from twofold.views import one_view, sample_rows

LEAST_STEPS = 400
MOST_TO_CHOOSE_ON = 5000
_FEW = 1 / 30  # between the paper's 1 % and its 10 %
_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a protocol trains. `rates` are the learning rates at batch 256 to choose among, the paper's first."""

    rates: tuple[float, ...]
    weight_decay: float
    epochs_of_few: float  # passes over a small share of the labels
    epochs: float


TRAINING_SETTINGS = {
    "finetune": TrainingSettings(rates=(0.05, 0.0125, 0.2), weight_decay=0.0, epochs_of_few=60.0, epochs=30.0),
    "supervised": TrainingSettings(rates=(0.1, 0.025, 0.4), weight_decay=1e-4, epochs_of_few=60.0, epochs=30.0),
    "sgd": TrainingSettings(rates=(0.1,), weight_decay=0.0, epochs_of_few=90.0, epochs=90.0),
}


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How a network is trained: `steps` batches of `batch_size` images, the rate as `optim` says, cosine to 0."""

    steps: int
    batch_size: int
    optim: OptimRecipe


@dataclass(frozen=True, kw_only=True)
class NetworkProtocol:
    """Trains networks for one `protocol`: finetune, supervised (from scratch) or sgd (a frozen encoder).

    `start` is the layer that fine-tuning puts its classifier on: "h", or an output of the head, whose layers up to
    there are then trained too (reference 4.2, ft_proj_selector).
    """

    protocol: str
    subject: Subject
    images: ImageSet
    rows: MeasuredRows
    start: str = "h"
    epochs: float | None = None

    @property
    def settings(self) -> TrainingSettings:
        """Learning rates and epochs."""
        return TRAINING_SETTINGS[self.protocol]

    def predict(self, labels: Labels, seed: int, store: PredictionStore) -> Predictions:
        """Train on the labels of that budget and seed, predict test. The learning rate is that of `rate`."""
        rate = self.rate(labels, store)
        own = given_places(self.rows.train_ids, labels, seed, self.rows.groups)
        logits = self._logits(own, self.rows.test, rate, seed)
        return Predictions(
            protocol=self.protocol,
            encoder="untrained" if self.protocol == "supervised" else self.subject.name,
            labels=labels,
            seed=seed,
            ranked=rank_classes(logits),
            confidence=softmax_confidence(logits),
            base_lr=rate,
        )

    def rate(self, labels: Labels, store: PredictionStore) -> float:
        """The learning rate for a budget: chosen on the labels of seed 0 alone, the same for all seeds."""
        if len(self.settings.rates) == 1:
            return self.settings.rates[0]
        return float(store.value(f"{self.protocol}/{self.start}/{labels}/rate", lambda: self._choose(labels)))

    def schedule(self, rate: float, labels: int) -> Schedule:
        """Of a network on so many labelled images."""
        return make_schedule(self.settings, rate, labels=labels, train=len(self.rows.train), epochs=self.epochs)

    def network(self, seed: int) -> "Network":
        """The network before training: a function of the seed."""
        encoder = self.subject.fresh(seed) if self.protocol == "supervised" else self.subject.encoder
        inner = head_part(self.subject.head, self.start) if self.protocol == "finetune" and self.start != "h" else None
        dim = self.subject.dim if inner is None else int(inner[-1].dense.out_features)  # type: ignore[union-attr,arg-type]
        return build_network(
            encoder,
            dim=dim,
            classes=len(self.rows.classes),
            hardware=self.subject.hardware,
            seed=seed,
            inner=inner,
            frozen=self.protocol == "sgd",
        )

    def _choose(self, labels: Labels) -> float:
        own = given_places(self.rows.train_ids, labels, 0, self.rows.groups)
        places = choice_places(self.rows.train_ids[own], self.rows.groups_of(own))
        if places is None:
            return self.settings.rates[0]
        kept, cut = (own[part] for part in places)
        asked = self.rows.train[cut]
        return choose_rate(self.settings, lambda rate: self._logits(kept, asked, rate, 0), self.rows.train_ids[cut])

    def _logits(
        self, own: Int64[np.ndarray, " k"], asked: Int64[np.ndarray, " m"], rate: float, seed: int
    ) -> Float32[np.ndarray, "m c"]:
        """Logits for the rows `asked`, of a network trained on the places `own` of train."""
        network, subject = self.network(seed), self.subject
        with frozen(network.encoder) if network.frozen else contextlib.nullcontext():
            fit_network(
                network,
                self.images,
                self.rows.train[own],
                self.rows.train_ids[own],
                views=subject.views,
                hardware=subject.hardware,
                schedule=self.schedule(rate, len(own)),
                seed=seed,
            )
        try:
            return embed_images(network, self.images, asked, views=subject.views, hardware=subject.hardware)
        except NotFiniteError as error:  # the loss of the last step was, but its gradient was too large
            raise _diverged("logits that are", rate) from error


def make_schedule(
    settings: TrainingSettings, base_lr: float, *, labels: int, train: int, epochs: float | None = None
) -> Schedule:
    """Steps and batch for `labels` labelled images of `train`: SGD with Nesterov momentum 0.9, cosine, no warm-up.

    `epochs` replaces the paper's (60 with 1 % of the labels, 30 with 10 % and more; appendix B.5, reference 5.2). A
    batch holds a quarter of the labelled images, 16 to 256 of them, at a rate of base_lr sqrt(B / 256). At least 400
    steps, since a few dozen images would otherwise be shown a handful of times.
    """
    batch = min(labels, _BATCH, max(16, 2 ** int(math.log2(max(1, labels / 4)))))
    passes = epochs or (settings.epochs_of_few if labels <= _FEW * train else settings.epochs)
    steps = max(1 if epochs else LEAST_STEPS, round(passes * labels / batch))
    optim = OptimRecipe(
        optimizer="sgd",
        base_lr=base_lr / math.sqrt(_BATCH),
        lr_scaling="sqrt",
        momentum=0.9,
        weight_decay=settings.weight_decay,
        warmup_fraction=0.0,
    )
    return Schedule(steps=steps, batch_size=batch, optim=optim)


def choice_places(ids: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None = None) -> Fold | None:
    """Places (kept, cut) among labelled images to choose a learning rate on: a fifth of each class is cut off.

    At most 5,000 images serve, or about as many in whole `groups`. None where a class has fewer than five or no group
    can be cut off: then the paper's rate is taken as it is.
    """
    counts = np.bincount(ids)
    if counts[counts > 0].min() < FOLDS:
        return None
    places = np.arange(len(ids))
    if len(ids) > MOST_TO_CHOOSE_ON:
        places = label_fraction(ids, MOST_TO_CHOOSE_ON / len(ids), 0, groups)
        if len(places) > MOST_TO_CHOOSE_ON and groups is None:  # rounded up in most classes: one less of each
            places = label_fraction(ids, (MOST_TO_CHOOSE_ON - len(np.unique(ids))) / len(ids), 0)
    folds = stratified_folds(ids[places], groups=None if groups is None else groups[places])
    return (places[folds[0][0]], places[folds[0][1]]) if folds else None


def choose_rate(
    settings: TrainingSettings, logits_of: Callable[[float], Float32[np.ndarray, "v k"]], ids: Int64[np.ndarray, " v"]
) -> float:
    """The rate whose network, trained on the kept images, has the least cross-entropy on the cut ones.

    `logits_of(rate)` trains and returns logits for the cut images, whose classes are `ids`. A rate at which training
    diverges is never taken, unless all do.
    """
    losses = []
    for rate in settings.rates:
        try:
            losses.append(cross_entropy(logits_of(rate), ids))
        except DivergedError:
            losses.append(math.inf)
    return settings.rates[losses.index(min(losses))]


class Network(nn.Module):
    """views -> logits: the encoder, the first layers of the projection head where there are any, a dense layer.

    A `frozen` encoder stays in evaluation mode and gets no gradient, whatever mode the network is put into.
    """

    def __init__(self, encoder: nn.Module, inner: nn.Module, classifier: nn.Linear, *, frozen: bool) -> None:
        super().__init__()
        self.encoder, self.inner, self.classifier = encoder, inner, classifier
        self.frozen = frozen
        if frozen:
            self.encoder.requires_grad_(False)
            self.inner.requires_grad_(False)

    def train(self, mode: bool = True) -> "Network":
        """Training mode, but for what is frozen."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
            self.inner.eval()
        return self

    def forward(self, views: Float[Tensor, "n c s1 s2"]) -> Float[Tensor, "n k"]:
        """Views (n, c, s, s) in [0, 1] -> logits (n, k)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            h = self.inner(self.encoder(views))
        return self.classifier(h)


def build_network(
    encoder: nn.Module,
    *,
    dim: int,
    classes: int,
    hardware: Hardware,
    seed: int,
    inner: nn.Module | None = None,
    frozen: bool = False,
) -> Network:
    """A network on copies of `encoder` and `inner` (layers of the head), whose output has `dim` numbers.

    The classifier starts normal with standard deviation 0.01 and bias 0, a function of the seed (reference 4.2). What
    is handed in is never trained.
    """
    with weights_of_seed(seed):
        classifier = nn.Linear(dim, classes)
    nn.init.normal_(classifier.weight, std=0.01, generator=torch.Generator().manual_seed(seed))
    nn.init.zeros_(classifier.bias)
    parts = copy.deepcopy(encoder), copy.deepcopy(inner) if inner is not None else nn.Identity()
    network = Network(*parts, classifier, frozen=frozen)
    return network.to(device=hardware.device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def fit_network(
    network: nn.Module,
    images: ImageSet,
    rows: Int64[np.ndarray, " m"],
    targets: Int64[np.ndarray, " m"],
    *,
    views: ViewsRecipe,
    hardware: Hardware,
    schedule: Schedule,
    seed: int,
    ops: tuple[Op, ...] | None = None,
    each_step: Callable[[int], None] = lambda step: None,  # noqa: ARG005
) -> None:
    """Train on the images `rows` with their class numbers `targets`, in place, by cross-entropy.

    The order of the images and their views are functions of (seed, step). The views have the side that is evaluated
    (`views.embedding_px`). They are made by `ops`, by default crop and flip alone: no colour distortion and no blur, as
    in the paper's fine-tuning and linear evaluation (reference 1.2). Raises TwofoldError where the loss is not finite,
    and for an op whose branch is not "each".
    """
    policy = (Op(name="crop", range=views.crop_area), Op(name="flip", prob=views.flip_prob)) if ops is None else ops
    target_of = np.full(len(images), -1, np.int64)
    target_of[rows] = targets
    peak = peak_lr(schedule.optim, schedule.batch_size)
    warmup = round(schedule.steps * schedule.optim.warmup_fraction)
    network.train()
    optimizer = build_optimizer(network, schedule.optim, lr=peak)
    size, pinned = schedule.batch_size, hardware.device.type == "cuda"
    batches = Loader(images, rows, batch_size=size, seed=seed, last_step=schedule.steps, pinned=pinned)
    bad = torch.zeros((), dtype=torch.bool, device=hardware.device)
    with forked_random(hardware.device):
        for step, batch in enumerate(batches):
            draws = sample_rows(policy, size, seed=seed, step=step)
            pixels = batch.images.to(hardware.device, non_blocking=True)
            x = one_view(pixels, batch.sizes, draws, size_px=views.embedding_px, interpolation=views.interpolation)
            wanted = target_of[rows_of_step(rows, size, seed, step)]
            seed_random(hardware.device, seed, step)  # dropout, if there is any
            with hardware.autocast():
                logits = network(x.contiguous(memory_format=torch.channels_last))  # (n, k)
            loss = functional.cross_entropy(logits.float(), torch.from_numpy(wanted).to(hardware.device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            for group in optimizer.param_groups:
                group["lr"] = lr_at(step, steps=schedule.steps, warmup_steps=warmup, peak=peak)
            optimizer.step()
            bad |= ~loss.detach().isfinite()
            each_step(step + 1)
    network.eval()
    if bool(bad):
        raise _diverged("a loss that is", peak)


def _diverged(what: str, rate: float) -> DivergedError:
    return DivergedError(
        f"training with labels gave {what} not finite at the learning rate {rate:g}; all numbers must be finite. "
        "Lower the learning rate."
    )
