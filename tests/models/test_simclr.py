"""The model: what goes in and out, and one step of training with every head."""

import pytest
import torch
from torch import nn

from twofold.losses import nt_xent
from twofold.models import ResNet, adapt
from twofold.models.head import build_head
from twofold.models.simclr import SimCLR
from twofold.optim import build_optimizer
from twofold.recipes.recipe import HeadRecipe, OptimRecipe


def _model(head: str, layers: int = 2) -> SimCLR:
    torch.manual_seed(0)
    encoder = ResNet(10, width=0.25, stages=2, stem="strided")
    return SimCLR(encoder, build_head(HeadRecipe(head=head, head_layers=layers, z_dim=16), dim=encoder.dim))


@pytest.mark.parametrize(("head", "p"), [("none", 32), ("linear", 16), ("nonlinear", 16)])
def test_gives_h_and_z(head: str, p: int) -> None:
    model = _model(head)
    views = torch.rand(6, 3, 16, 16)
    h, z = model(views)
    assert (h.shape, z.shape) == ((6, 32), (6, p))
    assert torch.equal(h, model.encoder(views))
    assert torch.equal(z, model.head(h))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("optimizer", ["lars", "sgd", "adamw"])
@pytest.mark.parametrize(("head", "layers"), [("none", 2), ("linear", 2), ("nonlinear", 2), ("nonlinear", 3)])
def test_every_head_trains_with_every_optimizer(head: str, layers: int, optimizer: str, precision: torch.dtype) -> None:
    model = _model(head, layers)
    stepper = build_optimizer(model, OptimRecipe(optimizer=optimizer), lr=0.01 if optimizer == "adamw" else 0.2)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    views = torch.rand(16, 3, 16, 16)
    for _ in range(2):  # the first step wakes the branches whose last gamma starts at zero
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
            _, z = model(views)
        loss = nt_xent(*z.chunk(2), temperature=0.5)
        assert loss.isfinite()
        stepper.zero_grad()
        loss.backward()
        stepper.step()
    for name, parameter in model.named_parameters():
        assert parameter.isfinite().all()
        assert torch.equal(parameter, before[name]) is not parameter.requires_grad, name


def test_training_on_one_batch_finds_the_positives() -> None:
    model = _model("nonlinear")
    stepper = build_optimizer(model, OptimRecipe(optimizer="lars", trust_coefficient=0.02), lr=1.0)
    images = torch.rand(8, 3, 16, 16)
    views = torch.cat([images, images.flip(-1)])
    losses = []
    for _ in range(15):
        loss = nt_xent(*model(views)[1].chunk(2), temperature=0.5)
        stepper.zero_grad()
        loss.backward()
        stepper.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_any_module_can_be_the_encoder() -> None:
    encoder = adapt(nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU()), channels=1, size_px=12)
    h, z = SimCLR(encoder, build_head(HeadRecipe(), dim=encoder.dim))(torch.rand(4, 1, 12, 12))
    assert (h.shape, z.shape) == ((4, 8), (4, 128))
