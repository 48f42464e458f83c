"""Self-training: what a network is sure of on an image's easy view, it learns to see on a hard view of the image.

The method is FixMatch's (Sohn et al., 2020) with an averaged teacher and aligned class shares. Legend: n labelled and u
unlabelled images a step, c channels, s pixels a side of a view, k classes.
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from twofold.data import ImageSet, Loader, rows_of_step
from twofold.data.pixels import ImageBatch
from twofold.evaluation.class_shares import Alignment
from twofold.evaluation.features import Hardware
from twofold.evaluation.networks import diverged
from twofold.hardware.randomness import forked_random, seed_random
from twofold.optim import build_optimizer, lr_at
from twofold.recipes.recipe import Op, OptimRecipe, ViewsRecipe
from twofold.views import one_view, sample_rows
from twofold.views.policy import build_single_policy

LABELLED, UNLABELLED = 32, 128  # images a step
WEIGHT_DECAY = 5e-4
EASY_AREA = (0.6, 1.0)  # of the image, that a crop which the teacher answers for covers
_WARMUP = 20  # the first twentieth of the steps: a probe of small features has large weights, and large gradients
_AVERAGED = 20  # the teacher is the mean of about the last twentieth of the steps


@dataclass(frozen=True, kw_only=True)
class SelfTraining:
    """The peak of the learning rate, and how sure the teacher must be of an answer that is learnt, in [0, 1]."""

    rate: float
    threshold: float


def fit_by_self_training(
    network: nn.Module,
    images: ImageSet,
    rows: Int64[np.ndarray, " a"],
    targets: Int64[np.ndarray, " a"],
    unlabelled: Int64[np.ndarray, " b"],
    *,
    shares: Float[np.ndarray, " k"] | None,
    views: ViewsRecipe,
    hardware: Hardware,
    how: SelfTraining,
    steps: int,
    seed: int,
) -> nn.Module:
    """Train `network` in place and return its teacher: the mean of its weights over the last steps, to predict with.

    A step minimises `loss_of_step` over 32 labelled and 128 unlabelled images (all, where there are fewer), answers
    aligned to the class `shares` (None: as they are). Easy views are large crops and flips, hard ones those of
    pretraining, the labelled ones by crop and flip as in fine-tuning. SGD with Nesterov momentum 0.9, weight decay
    5e-4, a short warm-up, cosine to 0. The order of the images and their views are functions of (seed, step). Raises
    DivergedError where the loss is not finite.
    """
    teacher = copy.deepcopy(network).eval().requires_grad_(False)
    network.train()
    optim = OptimRecipe(
        optimizer="sgd", base_lr=how.rate, lr_scaling="none", weight_decay=WEIGHT_DECAY, warmup_fraction=0.0
    )
    optimizer = build_optimizer(network, optim, lr=how.rate)
    align = Alignment(None if shares is None else torch.from_numpy(shares).float().to(hardware.device))
    target_of = np.full(len(images), -1, np.int64)
    target_of[rows] = targets
    several = np.tile(rows, -(-LABELLED // len(rows)))  # where there are fewer than a batch holds
    size = min(UNLABELLED, len(unlabelled))
    make = _Views(views, hardware, seed)
    pinned = hardware.device.type == "cuda"
    given = Loader(images, several, batch_size=LABELLED, seed=seed, last_step=steps, pinned=pinned)
    asked = Loader(images, unlabelled, batch_size=size, seed=seed, last_step=steps, pinned=pinned)
    bad = torch.zeros((), dtype=torch.bool, device=hardware.device)
    with forked_random(hardware.device):
        for step, (known, unknown) in enumerate(zip(given, asked, strict=True)):
            wanted = torch.from_numpy(target_of[rows_of_step(several, LABELLED, seed, step)]).to(hardware.device)
            seed_random(hardware.device, seed, step)  # dropout, if there is any
            with hardware.autocast():
                sure, answers = sure_answers(teacher, make("easy", unknown, step), align=align, threshold=how.threshold)
                loss = loss_of_step(
                    network,
                    labelled=make("labelled", known, step),
                    wanted=wanted,
                    hard=make("hard", unknown, step, sure),
                    answers=answers,
                    unlabelled=size,
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            for group in optimizer.param_groups:
                group["lr"] = lr_at(step, steps=steps, warmup_steps=steps // _WARMUP, peak=how.rate)
            optimizer.step()
            follow(teacher, network, _AVERAGED / max(steps, _AVERAGED))
            bad |= ~loss.detach().isfinite()
    network.eval()
    if bool(bad):
        raise diverged("a loss that is", how.rate)
    return teacher


@torch.no_grad()
def sure_answers(
    teacher: nn.Module, easy: Float[Tensor, "u c s s"], *, align: Alignment, threshold: float
) -> tuple[Int64[Tensor, " t"], Int64[Tensor, " t"]]:
    """The places of the views that the teacher is sure of, on the CPU, and its answers for them.

    With p = the teacher's probabilities for a view, aligned, it is sure where max_j p_j >= threshold; its answer is
    argmax_j p_j.
    """
    confidence, answers = align(teacher(easy).float().softmax(1)).max(1)
    sure = confidence >= threshold
    return sure.nonzero()[:, 0].cpu(), answers[sure]


def loss_of_step(
    student: nn.Module,
    *,
    labelled: Float[Tensor, "n c s s"],
    wanted: Int64[Tensor, " n"],
    hard: Float[Tensor, "t c s s"],
    answers: Int64[Tensor, " t"],
    unlabelled: int,
) -> Float[Tensor, ""]:
    """What a step minimises, in nats, with `hard` views of the images that the teacher is sure of, of u = `unlabelled`:

    mean_n cross_entropy(student(labelled), wanted) + sum_t cross_entropy(student(hard), answers) / u
    """
    n = len(labelled)
    logits = student(torch.cat([labelled, hard])).float()  # one pass: batch norm cannot tell them apart
    learnt = functional.cross_entropy(logits[n:], answers, reduction="sum")
    return functional.cross_entropy(logits[:n], wanted) + learnt / unlabelled


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, share: float) -> None:
    """Move every number of the teacher by `share` of the way to the student's, batch statistics too; counts are set."""
    for own, new in zip(teacher.state_dict().values(), student.state_dict().values(), strict=True):
        if own.is_floating_point():
            own.lerp_(new, share)
        else:
            own.copy_(new)


class _Views:
    """One view of each image of a batch: of those that have labels, or an easy or a hard one of the others."""

    def __init__(self, views: ViewsRecipe, hardware: Hardware, seed: int) -> None:
        self._views, self._device, self._seed = views, hardware.device, seed
        flip = Op(name="flip", prob=views.flip_prob)
        easy = (max(EASY_AREA[0], views.crop_area[0]), EASY_AREA[1])
        self._policies = {
            "labelled": (Op(name="crop", range=views.crop_area), flip),
            "easy": (Op(name="crop", range=easy), flip),
            "hard": build_single_policy(views),
        }

    def __call__(
        self, kind: str, batch: ImageBatch, step: int, places: Int64[Tensor, " v"] | None = None
    ) -> Float[Tensor, "v c s s"]:
        """Views (v, c, s, s) of the side that is evaluated, of the images at `places` (None: of all).

        Each kind draws for itself, and the same for an image whichever others are asked for.
        """
        if places is not None and len(places) == 0:
            return torch.empty(0, batch.images.shape[1], *2 * [self._views.embedding_px], device=self._device)
        seed = len(self._policies) * self._seed + list(self._policies).index(kind)
        draws = sample_rows(self._policies[kind], len(batch.sizes), seed=seed, step=step)
        pixels, sizes = batch.images, batch.sizes
        if places is not None:
            pixels, sizes = pixels[places], sizes[places]
            draws = tuple(draw.rows(places) for draw in draws)
        views = one_view(
            pixels.to(self._device, non_blocking=True),
            sizes,
            draws,
            size_px=self._views.embedding_px,
            interpolation=self._views.interpolation,
        )
        return views.contiguous(memory_format=torch.channels_last)
