"""The training step: the heart. Read `train_step` first.

Legend: N images a step, n of them in this process, 2n views, s pixels a side, c channels, d = dim of h, p = dim of z.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from twofold.data import ImageBatch
from twofold.distributed import Share, World, global_norm
from twofold.hardware.device import Hardware
from twofold.hardware.randomness import weights_of_seed
from twofold.losses import build_loss, contrast_measures, wide
from twofold.models import build_encoder, require_size
from twofold.models.frozen import freeze_until
from twofold.models.head import build_head
from twofold.models.own import OwnEncoder
from twofold.models.simclr import SimCLR
from twofold.models.weights import fill
from twofold.optim import build_optimizer, set_lr, share_rates
from twofold.recipes.recipe import LossRecipe, Recipe, ViewsRecipe
from twofold.training.chunks import forward_chunks
from twofold.training.initial import Initial
from twofold.views import Draw, build_policy, sample_views, take_rows, two_views

NEVER = 2**62
_WAYS = ("foreach", "fused", "capturable")  # of an optimizer to compute the same


@dataclass
class TrainState:
    """All that changes from step to step; everything else is a function of the recipe and the step."""

    model: SimCLR
    optimizer: torch.optim.Optimizer
    first_bad_step: Tensor  # (): the first step whose loss was not finite, or NEVER; on the device, read seldom
    step: int = 0  # of this part of the run
    elapsed_s: float = 0.0
    first_step: int = 0  # steps and epochs of the parts before (`extension`)
    first_epoch: float = 0.0

    @property
    def run_step(self) -> int:
        """The step of the whole run."""
        return self.first_step + self.step


@dataclass(frozen=True, kw_only=True)
class StepSetup:
    """All that stays the same from step to step."""

    views: ViewsRecipe
    loss: LossRecipe
    seed: int
    hardware: Hardware
    world: World
    share: Share

    @classmethod
    def of(cls, recipe: Recipe, hardware: Hardware, world: World, share: Share) -> "StepSetup":
        """What a step takes from a recipe, and where it is computed."""
        views, loss, seed = recipe.views, recipe.loss, recipe.schedule.seed
        return cls(views=views, loss=loss, seed=seed, hardware=hardware, world=world, share=share)


def train_step(state: TrainState, batch: ImageBatch, setup: StepSetup, *, lr: float) -> dict[str, Tensor]:
    """One step of Algorithm 1 (paper, section 2.2): n images -> 2n views -> h -> z -> loss -> new weights."""
    policy, share = build_policy(setup.views), setup.share
    draws = take_rows(sample_views(policy, share.batch_size, seed=setup.seed, step=state.step), share.positions)

    def make_x(part: slice) -> Tensor:  # (2m, c, s, s) for m of this process' n images: all a, then all b
        return make_views(batch.part(part), take_rows(draws, part), setup.views, setup.hardware)

    key = (setup.seed, state.step, setup.world.rank)  # of dropout, if there is any
    measured = learn(state, make_x, setup, lr=lr, step=state.step, key=key)
    state.step += 1
    return measured


def learn(
    state: TrainState,
    make_x: Callable[[slice], Tensor],
    setup: StepSetup,
    *,
    lr: float | Tensor,
    step: int | Tensor,
    key: Sequence[int] | None,
) -> dict[str, Tensor]:
    """The part of a step that computes: what lies on the device stays in its place, so that a graph can hold it."""
    loss, world, share = setup.loss, setup.world, setup.share

    def make_z(part: slice) -> Tensor:
        with setup.hardware.autocast():
            return state.model(make_x(part))[1]  # (2m, p): both views in one pass: batch norm cannot tell them apart

    z = forward_chunks(state.model, make_z, share.chunks, key=key)  # (n, 2p): both views of an image side by side
    z_a, z_b = world.gather(wide(z)).chunk(2, dim=1)  # (N, p) each: the images of all processes
    value = build_loss(loss)(z_a, z_b, share.anchors)  # (): this process' part

    state.optimizer.zero_grad(set_to_none=True)
    (loss.loss_factor * value).backward()  # 2: as the official code, whose loss is twice the mean
    world.sum_gradients(state.model)
    set_lr(state.optimizer, lr)
    state.optimizer.step()

    measures = contrast_measures(
        z_a, z_b, temperature=loss.temperature, normalize=loss.normalize, anchors=share.anchors
    )
    whole, accuracy, entropy = world.sum(torch.stack([value.detach(), *measures]))
    state.first_bad_step.copy_(state.first_bad_step.minimum(torch.where(whole.isfinite(), NEVER, step)))
    return {"loss": whole, "contrast_accuracy": accuracy, "contrast_entropy": entropy}


def make_views(batch: ImageBatch, draws: Sequence[Draw], views: ViewsRecipe, hardware: Hardware) -> Tensor:
    """Both views of a batch on the device, channels-last: (2n, c, s, s) in [0, 1]."""
    images = batch.images.to(hardware.device, non_blocking=True)
    how: dict[str, Any] = {"size_px": views.size_px, "interpolation": views.interpolation}
    x = two_views(images, batch.sizes, draws, compiled=hardware.compiled, **how)
    return x.contiguous(memory_format=torch.channels_last)


def require_encoder(recipe: Recipe) -> None:
    """See before anything is decoded that the encoder can be built. Raises TwofoldError where it cannot."""
    with weights_of_seed(0):
        encoder = build_encoder(recipe.encoder, channels=recipe.data.channels, size_px=recipe.views.size_px)
    require_size(encoder, recipe.views.embedding_px, recipe.data.channels)
    if recipe.init.freeze_until:
        freeze_until(encoder, recipe.init.freeze_until)


def build_state(
    recipe: Recipe, hardware: Hardware, *, peak: float, world: World, initial: Initial | None = None
) -> TrainState:
    """Fresh weights, a function of the seed alone, or those of a module that is the encoder: of the first process'.

    What is `initial` takes the place of fresh weights.
    """
    with weights_of_seed(recipe.schedule.seed):
        encoder = build_encoder(recipe.encoder, channels=recipe.data.channels, size_px=recipe.views.size_px)
        model = SimCLR(encoder, build_head(recipe.head, dim=encoder.dim))
    if initial:
        initial.put_into(model)
    if initial or isinstance(recipe.encoder, OwnEncoder):
        world.copy_from_first(model)  # the others have none, or have each made it for themselves
    if recipe.init.freeze_until:
        model.frozen = freeze_until(encoder, recipe.init.freeze_until)
    hardware.place(model)
    global_norm(model, world)
    model.train()
    if recipe.hardware.compile:
        model.encoder.compile()  # in place: names of weights, and whatever reads them, stay
    optimizer = build_optimizer(model, recipe.optim, lr=peak, capturable=hardware.compiled)
    if initial and recipe.init.init_rate != 1.0:
        share_rates(optimizer, dict.fromkeys(initial.loaded_parameters(model), recipe.init.init_rate))
    return TrainState(model, optimizer, torch.tensor(NEVER, device=hardware.device))


def state_dict(state: TrainState) -> dict[str, Any]:
    """What a checkpoint holds."""
    optimizer = state.optimizer.state_dict()
    for group in optimizer["param_groups"]:
        group["lr"] = float(group["lr"])  # a CUDA graph reads it from the device
    return {
        "model": state.model.state_dict(),
        "optimizer": optimizer,
        "step": state.run_step,
        "elapsed_s": state.elapsed_s,
    }


def load_state_dict(state: TrainState, values: dict[str, Any]) -> None:
    """Put a checkpoint's values into a state that was built from the same recipe.

    How the optimizer computes stays as built here: the checkpoint may be of a version or a flag that chose another way.
    Not while a step of this state is a CUDA graph, which goes on with the tensors that it was recorded with.
    Raises TwofoldError where the weights do not fit.
    """
    fill(state.model, values["model"], "encoder and head")
    ways = [{name: group[name] for name in _WAYS if name in group} for group in state.optimizer.param_groups]
    optimizer = {**values["optimizer"]}
    optimizer["param_groups"] = [{**group, **way} for group, way in zip(optimizer["param_groups"], ways, strict=True)]
    state.optimizer.load_state_dict(optimizer)
    state.step, state.elapsed_s = values["step"] - state.first_step, values["elapsed_s"]
