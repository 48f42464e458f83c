"""Distillation: a student learns what a teacher says of images, whose labels play no part.

Legend: n images a step, c channels, s pixels a side of a view, k classes.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from twofold.data import ImageSet, Loader
from twofold.evaluation.features import Hardware
from twofold.evaluation.networks import diverged
from twofold.hardware.randomness import forked_random, seed_random
from twofold.optim import build_optimizer, lr_at
from twofold.recipes.recipe import Op, OptimRecipe, ViewsRecipe
from twofold.views import one_view, sample_rows

BATCH = 256
RATE = 0.1
WEIGHT_DECAY = 1e-4
_WARMUP = 20  # the first twentieth of the steps


def fit_by_distillation(
    student: nn.Module,
    teacher: nn.Module,
    images: ImageSet,
    rows: Int64[np.ndarray, " m"],
    *,
    views: ViewsRecipe,
    hardware: Hardware,
    steps: int,
    temperature: float,
    seed: int = 0,
    each_step: Callable[[int], None] = lambda step: None,  # noqa: ARG005
) -> None:
    """Train `student` in place on what `teacher`, in evaluation mode, says of one view of each image of `rows`.

    Views are crops and flips, the same for both, 256 images a step or all there are. SGD with Nesterov momentum 0.9,
    rate 0.1, weight decay 1e-4, a short warm-up, cosine to 0. The order of the images and their views are functions of
    (seed, step). Raises DivergedError where the loss is not finite. Source: Chen et al. 2020 (SimCLRv2), section 2.
    """
    policy = (Op(name="crop", range=views.crop_area), Op(name="flip", prob=views.flip_prob))
    optim = OptimRecipe(
        optimizer="sgd", base_lr=RATE, lr_scaling="none", weight_decay=WEIGHT_DECAY, warmup_fraction=0.0
    )
    optimizer = build_optimizer(student, optim, lr=RATE)
    size, pinned = min(BATCH, len(rows)), hardware.device.type == "cuda"
    teacher.eval()
    student.train()
    bad = torch.zeros((), dtype=torch.bool, device=hardware.device)
    with forked_random(hardware.device):
        for step, batch in enumerate(Loader(images, rows, batch_size=size, seed=seed, last_step=steps, pinned=pinned)):
            draws = sample_rows(policy, size, seed=seed, step=step)
            pixels = batch.images.to(hardware.device, non_blocking=True)
            x = one_view(pixels, batch.sizes, draws, size_px=views.embedding_px, interpolation=views.interpolation)
            x = x.contiguous(memory_format=torch.channels_last)
            seed_random(hardware.device, seed, step)  # dropout, if there is any
            with hardware.autocast():
                with torch.no_grad():
                    wanted = teacher(x)
                logits = student(x)
            loss = soft_cross_entropy(logits.float(), wanted.float(), temperature)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            for group in optimizer.param_groups:
                group["lr"] = lr_at(step, steps=steps, warmup_steps=steps // _WARMUP, peak=RATE)
            optimizer.step()
            bad |= ~loss.detach().isfinite()
            each_step(step + 1)
    student.eval()
    if bool(bad):
        raise diverged("a loss that is", RATE)


def soft_cross_entropy(
    logits: Float[Tensor, "n k"], wanted: Float[Tensor, "n k"], temperature: float
) -> Float[Tensor, ""]:
    """-mean_n sum_k p log q in nats, p = softmax(wanted / T), q = softmax(logits / T).

    >>> logits = torch.tensor([[0.0, 0.0]])
    >>> round(soft_cross_entropy(logits, torch.tensor([[5.0, -5.0]]), temperature=1.0).item(), 3)
    0.693
    """
    p = (wanted / temperature).softmax(1)
    return -(p * (logits / temperature).log_softmax(1)).sum(1).mean()
