"""The training step: the heart. Read `train_step` first.

Legend: n images a step, 2n views, s pixels a side, c channels, d = dim of h, p = dim of z.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from twofold.data import ImageBatch
from twofold.encoders import build_encoder, require_size
from twofold.heads import build_head
from twofold.losses import contrast_accuracy, nt_xent
from twofold.model import SimCLR
from twofold.optim import build_optimizer
from twofold.recipe import LossRecipe, Recipe, ViewsRecipe
from twofold.runtime.device import Hardware
from twofold.views import Draw, build_policy, sample_views, two_views

NEVER = 2**62


@dataclass
class TrainState:
    """All that changes from step to step; everything else is a function of the recipe and the step."""

    model: SimCLR
    optimizer: torch.optim.Optimizer
    first_bad_step: Tensor  # (): the first step whose loss was not finite, or NEVER; on the device, read seldom
    step: int = 0
    elapsed_s: float = 0.0


def train_step(
    state: TrainState,
    batch: ImageBatch,
    *,
    lr: float,
    views: ViewsRecipe,
    loss: LossRecipe,
    seed: int,
    hardware: Hardware,
) -> dict[str, Tensor]:
    """One step of Algorithm 1 (paper, section 2.2): n images -> 2n views -> h -> z -> NT-Xent -> new weights."""
    torch.manual_seed((seed * 1_000_003 + state.step) % 2**63)  # dropout, where an encoder has it
    draws = sample_views(build_policy(views), len(batch.images), seed=seed, step=state.step)
    x = make_views(batch, draws, views, hardware)  # (2n, c, s, s): all a, then all b
    with hardware.autocast():
        _, z = state.model(x)  # (2n, d), (2n, p): both views in one pass, so that batch norm cannot tell them apart
    z_a, z_b = z.chunk(2)  # (n, p) each
    value = nt_xent(z_a, z_b, temperature=loss.temperature)  # ()

    state.optimizer.zero_grad(set_to_none=True)
    value.backward()
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    state.optimizer.step()

    state.first_bad_step = state.first_bad_step.minimum(torch.where(value.isfinite(), NEVER, state.step))
    state.step += 1
    return {"loss": value.detach(), "contrast_accuracy": contrast_accuracy(z_a.detach(), z_b.detach())}


def make_views(batch: ImageBatch, draws: Sequence[Draw], views: ViewsRecipe, hardware: Hardware) -> Tensor:
    """Both views of a batch on the device, channels-last: (2n, c, s, s) in [0, 1]."""
    images = batch.images.to(hardware.device, non_blocking=True)
    x = two_views(images, batch.sizes, draws, size_px=views.size_px, interpolation=views.interpolation)
    return x.contiguous(memory_format=torch.channels_last)


def require_encoder(recipe: Recipe) -> None:
    """See before anything is decoded that the encoder can be built. Raises TwofoldError where it cannot."""
    with torch.random.fork_rng(devices=[]):
        encoder = build_encoder(recipe.encoder, channels=recipe.data.channels, size_px=recipe.views.size_px)
    require_size(encoder, recipe.views.embedding_px, recipe.data.channels)


def build_state(recipe: Recipe, hardware: Hardware, *, peak: float) -> TrainState:
    """Fresh weights, a function of the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.schedule.seed)
        encoder = build_encoder(recipe.encoder, channels=recipe.data.channels, size_px=recipe.views.size_px)
        model = SimCLR(encoder, build_head(recipe.head, dim=encoder.dim))
    hardware.place(model)
    model.train()
    optimizer = build_optimizer(model, recipe.optim, lr=peak)
    return TrainState(model, optimizer, torch.tensor(NEVER, device=hardware.device))


def state_dict(state: TrainState) -> dict[str, Any]:
    """What a checkpoint holds."""
    return {
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "step": state.step,
        "elapsed_s": state.elapsed_s,
    }


def load_state_dict(state: TrainState, values: dict[str, Any]) -> None:
    """Put a checkpoint's values into a state that was built from the same recipe."""
    state.model.load_state_dict(values["model"])
    state.optimizer.load_state_dict(values["optimizer"])
    state.step, state.elapsed_s = values["step"], values["elapsed_s"]


def measure_step_s(recipe: Recipe, hardware: Hardware, batches: Sequence[ImageBatch], *, seconds: float = 6.0) -> float:
    """Median duration of a training step in seconds, on a state of its own, so that the run's is untouched."""
    state = build_state(recipe, hardware, peak=1e-9)
    generator = torch.get_rng_state()
    durations: list[float] = []
    begin = time.monotonic()
    while len(durations) < 5 or (time.monotonic() - begin < seconds and len(durations) < 60):
        start = time.monotonic()
        result = train_step(
            state,
            batches[len(durations) % len(batches)],
            lr=1e-9,
            views=recipe.views,
            loss=recipe.loss,
            seed=recipe.schedule.seed,
            hardware=hardware,
        )
        result["loss"].item()
        durations.append(time.monotonic() - start)
        if len(durations) >= 3 and time.monotonic() - begin > 4 * seconds:
            break
    torch.set_rng_state(generator)
    settled = sorted(durations[2:] or durations)
    return settled[len(settled) // 2]
