"""An encoder with a classifier on top, and its training on labels.

Legend: n images a step, c channels, s pixels a side of a view, d = length of h, k classes.
"""

import copy
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase

from twofold.data import ImageSet, Loader, rows_of_step
from twofold.errors import DivergedError
from twofold.evaluation.features import Hardware
from twofold.evaluation.logistic_regression import LinearProbe
from twofold.evaluation.schedules import Schedule
from twofold.hardware.randomness import forked_random, seed_random, weights_of_seed
from twofold.optim import build_optimizer, decay_rates, lr_at, peak_lr, set_lr
from twofold.recipes.recipe import Op, ViewsRecipe
from twofold.views import one_view, sample_rows


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
    start: LinearProbe | None = None,
) -> Network:
    """A network on copies of `encoder` and `inner` (layers of the head), whose output has `dim` numbers.

    The classifier is `start`, a probe on that output as it is (`LinearProbe.unscaled`), so that the network begins with
    the probe's answers. Without one it is normal with standard deviation 0.01 and bias 0, a function of the seed
    (reference 4.2). What is handed in is never trained.
    """
    with weights_of_seed(seed):
        classifier = nn.Linear(dim, classes)
    nn.init.normal_(classifier.weight, std=0.01, generator=torch.Generator().manual_seed(seed))
    nn.init.zeros_(classifier.bias)
    if start is not None:
        with torch.no_grad():
            classifier.weight.copy_(torch.from_numpy(start.weight.T))
            classifier.bias.copy_(torch.from_numpy(start.bias))
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
    in the paper's fine-tuning and linear evaluation (reference 1.2). `each_step(steps so far)` may look at the network,
    also in evaluation mode. Raises TwofoldError where the loss is not finite, and for an op whose branch is not "each".
    """
    policy = (Op(name="crop", range=views.crop_area), Op(name="flip", prob=views.flip_prob)) if ops is None else ops
    target_of = np.full(len(images), -1, np.int64)
    target_of[rows] = targets
    peak = peak_lr(schedule.optim, schedule.batch_size)
    warmup = round(schedule.steps * schedule.optim.warmup_fraction)
    network.train()
    if schedule.statistics == "pretrained":
        _hold_statistics(network)
    optimizer = build_optimizer(network, schedule.optim, lr=peak)
    if schedule.layer_decay != 1.0:
        decay_rates(optimizer, layers(network), schedule.layer_decay)
    size, pinned = schedule.batch_size, hardware.device.type == "cuda"
    batches = Loader(images, rows, batch_size=size, seed=seed, last_step=schedule.taken, pinned=pinned)
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
            set_lr(optimizer, lr_at(step, steps=schedule.steps, warmup_steps=warmup, peak=peak))
            optimizer.step()
            bad |= ~loss.detach().isfinite()
            each_step(step + 1)
    network.eval()
    if bool(bad):
        raise diverged("a loss that is", peak)


def layers(network: nn.Module) -> list[nn.Module]:
    """The parts of a network that have parameters, in the order in which they were given to it.

    Where it has a single part, that one's parts; a list of equal blocks counts as one. A `Network` ends with its
    classifier, and its encoder is parted once more.
    """
    parts = [part for part in network.children() if next(part.parameters(), None) is not None]
    if isinstance(network, Network):
        return [*layers(network.encoder), *parts[1:]]
    return layers(parts[0]) if len(parts) == 1 and next(network.parameters(recurse=False), None) is None else parts


def _hold_statistics(network: nn.Module) -> None:
    """Let batch norm keep and use the statistics that it has, while everything else is in training mode."""
    for module in network.modules():
        if isinstance(module, _NormBase) and module.track_running_stats:
            module.eval()


def diverged(what: str, rate: float) -> DivergedError:
    """The error of a training whose numbers are not finite, `what` they are of."""
    return DivergedError(
        f"training with labels gave {what} not finite at the learning rate {rate:g}; all numbers must be finite. "
        "Lower the learning rate."
    )
