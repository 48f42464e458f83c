"""A training step with loss_factor = 2 is that of the official code: LARS on the sum of two means."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from oracles import lars_step
from twofold.data import ImageBatch
from twofold.distributed import World
from twofold.errors import TwofoldError
from twofold.hardware.device import resolve_hardware
from twofold.losses import nt_xent
from twofold.models import Encoder
from twofold.models.simclr import SimCLR
from twofold.optim import build_optimizer
from twofold.recipes.recipe import LossRecipe, OptimRecipe, Recipe
from twofold.training.step import NEVER, StepSetup, TrainState, make_views, train_step
from twofold.views import build_policy, sample_views

N, RATES, TEMPERATURE = 8, (0.5, 2.0, 2.0, 1.0), 0.2
RECIPE = Recipe().with_settings(size_px=8, policy="small", device="cpu", precision="fp32", temperature=TEMPERATURE)
HARDWARE = resolve_hardware(RECIPE.hardware)
EXEMPT = {"encoder.norm.weight", "encoder.norm.bias", "encoder.conv.bias", "head.bias"}


class Small(Encoder):
    """Weights, biases and a norm, each with a gradient of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.conv, self.dim = nn.BatchNorm2d(3), nn.Conv2d(3, 8, 3), 8

    def forward(self, views: Tensor) -> Tensor:
        return self.conv(self.norm(views)).relu().mean(dim=(2, 3))


def build_model() -> SimCLR:
    torch.manual_seed(0)
    return SimCLR(Small(), nn.Linear(8, 6)).train()


def build_batch() -> ImageBatch:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (N, 3, 10, 12), dtype=torch.uint8, generator=generator)
    return ImageBatch(images, torch.tensor([[10, 12]] * N))


def official_loss(z_a: Tensor, z_b: Tensor) -> Tensor:
    """As objective.py has it: cross-entropy of the rows of both views, each a mean of its own, added up."""
    a, b = functional.normalize(z_a), functional.normalize(z_b)
    own, large = torch.arange(len(a)), 1e9 * torch.eye(len(a))
    aa, bb, ab = a @ a.T / TEMPERATURE - large, b @ b.T / TEMPERATURE - large, a @ b.T / TEMPERATURE
    of_a = functional.cross_entropy(torch.cat([ab, aa], dim=1), own)
    return of_a + functional.cross_entropy(torch.cat([ab.T, bb], dim=1), own)


def official_steps(optim: OptimRecipe, rates: tuple[float, ...]) -> dict[str, np.ndarray]:
    """The parameters after these steps, in plain numpy but for the gradient."""
    model, batch = build_model(), build_batch()
    buffers = {name: np.zeros(w.shape) for name, w in model.named_parameters()}
    for step, lr in enumerate(rates):
        draws = sample_views(build_policy(RECIPE.views), N, seed=0, step=step)
        z_a, z_b = model(make_views(batch, draws, RECIPE.views, HARDWARE))[1].chunk(2)
        model.zero_grad()
        official_loss(z_a, z_b).backward()
        for name, w in model.named_parameters():
            assert w.grad is not None
            exempt = name in EXEMPT
            moved, buffers[name] = lars_step(
                w.detach().double().numpy(),
                w.grad.double().numpy(),
                buffers[name],
                lr=lr,
                momentum=optim.momentum,
                weight_decay=0.0 if exempt else optim.weight_decay,
                trust_coefficient=optim.trust_coefficient,
                adapt=not exempt,
            )
            w.data.copy_(torch.from_numpy(moved))
    return {name: w.detach().numpy() for name, w in model.named_parameters()}


def setup_of(factor: float) -> StepSetup:
    recipe = replace(RECIPE, loss=LossRecipe(temperature=TEMPERATURE, loss_factor=factor))
    return StepSetup.of(recipe, HARDWARE, World(), World().share(N, None))


def own_steps(optim: OptimRecipe, rates: tuple[float, ...], factor: float) -> dict[str, np.ndarray]:
    model = build_model()
    state = TrainState(model, build_optimizer(model, optim, lr=rates[0]), torch.tensor(NEVER))
    setup = setup_of(factor)
    for lr in rates:
        train_step(state, build_batch(), setup, lr=lr)
    return {name: w.detach().numpy() for name, w in state.model.named_parameters()}


def moves(after: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: after[name] - w.detach().numpy() for name, w in build_model().named_parameters()}


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_weights_biases_and_norms_move_as_officially(weight_decay: float) -> None:
    optim = OptimRecipe(optimizer="lars", weight_decay=weight_decay, trust_coefficient=0.02)
    ours, official = own_steps(optim, RATES, 2.0), official_steps(optim, RATES)
    for name, moved in moves(official).items():
        assert np.abs(moved).max() > 1e-3, name
        np.testing.assert_allclose(moves(ours)[name], moved, rtol=2e-4, atol=2e-6, err_msg=name)


def test_without_the_factor_the_exempt_move_half_as_far_and_the_weights_as_far() -> None:
    optim = OptimRecipe(optimizer="lars", weight_decay=0.0, trust_coefficient=0.02)
    ours, official = moves(own_steps(optim, RATES[:1], 1.0)), moves(official_steps(optim, RATES[:1]))
    assert official.keys() > EXEMPT
    for name, moved in official.items():
        share = 0.5 if name in EXEMPT else 1.0
        np.testing.assert_allclose(ours[name], share * moved, rtol=2e-4, atol=2e-6, err_msg=name)


def test_with_weight_decay_the_weights_too_move_otherwise_without_the_factor() -> None:
    optim = OptimRecipe(optimizer="lars", weight_decay=0.3, trust_coefficient=0.02)
    ours, official = moves(own_steps(optim, RATES[:1], 1.0)), moves(official_steps(optim, RATES[:1]))
    assert not np.allclose(ours["encoder.conv.weight"], official["encoder.conv.weight"], rtol=1e-2)


def test_the_oracle_is_twice_the_mean() -> None:
    z_a, z_b = torch.randn(2, 16, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(official_loss(z_a, z_b), 2 * nt_xent(z_a, z_b, temperature=TEMPERATURE))


def test_what_is_logged_is_the_mean_whatever_the_factor() -> None:
    def logged(factor: float) -> float:
        model = build_model()
        state = TrainState(model, build_optimizer(model, OptimRecipe(), lr=0.1), torch.tensor(NEVER))
        return float(train_step(state, build_batch(), setup_of(factor), lr=0.1)["loss"])

    assert logged(1.0) == logged(2.0)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("inf"), float("nan")])
def test_a_factor_without_a_step_is_refused(factor: float) -> None:
    with pytest.raises(TwofoldError, match="loss_factor"):
        LossRecipe(loss_factor=factor)
