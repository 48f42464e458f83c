"""Who gets decay and trust ratio, and what the recipe builds."""

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from twofold.models import ResNet
from twofold.models.head import build_head
from twofold.models.simclr import SimCLR
from twofold.optim import LARS, build_optimizer, param_groups
from twofold.recipes.recipe import HeadRecipe, OptimRecipe


def _names(model: nn.Module) -> tuple[set[str], set[str]]:
    """Names of the parameters with decay, and without."""
    by_id = {id(parameter): name for name, parameter in model.named_parameters()}
    weights, exempt = ({by_id[id(parameter)] for parameter in group["params"]} for group in param_groups(model, 0.1))
    return weights, exempt


class _Everything(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Conv2d(3, 4, 3)
        self.dense = nn.Linear(4, 4)
        self.attention = nn.MultiheadAttention(4, 2)
        self.norms = nn.ModuleList(
            [
                nn.BatchNorm1d(4),
                nn.BatchNorm2d(4),
                nn.SyncBatchNorm(4),
                nn.LayerNorm(4),
                nn.GroupNorm(2, 4),
                nn.InstanceNorm2d(4, affine=True),
                nn.RMSNorm(4),
            ]
        )
        self.token = nn.Parameter(torch.zeros(4))
        self.frozen = nn.Parameter(torch.zeros(4), requires_grad=False)


def test_norms_and_biases_are_exempt_by_type() -> None:
    weights, exempt = _names(_Everything())
    assert weights == {
        "kernel.weight",
        "dense.weight",
        "attention.in_proj_weight",
        "attention.out_proj.weight",
        "token",
    }
    assert "attention.in_proj_bias" in exempt
    assert {name for name in exempt if name.startswith("norms")} == {
        *(f"norms.{index}.weight" for index in range(7)),
        *(f"norms.{index}.bias" for index in range(6)),
    }


@pytest.mark.parametrize("build", [_Everything, models.resnet18, models.mobilenet_v3_small, lambda: ResNet(50)])
def test_every_trainable_parameter_is_in_exactly_one_group(build: type[nn.Module]) -> None:
    model = build()
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    weights, exempt = _names(model)
    assert weights | exempt == trainable
    assert not weights & exempt
    count = sum(len(group["params"]) for group in param_groups(model, 0.1))
    assert count == len(trainable)


def test_a_shared_parameter_is_listed_once() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    assert sum(len(group["params"]) for group in param_groups(model, 0.0)) == 3


def test_a_resnet_s_weights_are_its_kernels_and_dense_layers() -> None:
    encoder = ResNet(18)
    model = SimCLR(encoder, build_head(HeadRecipe(), dim=encoder.dim))
    weights, exempt = param_groups(model, 0.1)
    assert {parameter.ndim for parameter in weights["params"]} == {2, 4}
    assert {parameter.ndim for parameter in exempt["params"]} == {1}
    assert (weights["weight_decay"], weights["adapt"]) == (0.1, True)
    assert (exempt["weight_decay"], exempt["adapt"]) == (0.0, False)
    assert not any(parameter is model.head[-1].norm.bias for parameter in exempt["params"])


def _one_step(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return {name: before[name] - parameter.detach() for name, parameter in model.named_parameters()}


def test_lars_takes_its_settings_from_the_recipe() -> None:
    model = nn.Linear(2, 2)
    recipe = OptimRecipe(momentum=0.8, weight_decay=0.25, trust_coefficient=0.01)
    optimizer = build_optimizer(model, recipe, lr=0.5)
    assert isinstance(optimizer, LARS)
    length = model.weight.detach().norm()
    gradient = 1 + 0.25 * model.weight.detach()
    moved = _one_step(optimizer, model)
    torch.testing.assert_close(moved["weight"], 0.5 * 0.01 * length * gradient / gradient.norm())
    torch.testing.assert_close(moved["bias"], torch.full((2,), 0.5))
    assert all(group["momentum"] == 0.8 for group in optimizer.param_groups)


def test_sgd_is_nesterov_and_spares_biases_from_decay() -> None:
    model = nn.Linear(2, 2)
    optimizer = build_optimizer(model, OptimRecipe(optimizer="sgd", momentum=0.9, weight_decay=0.25), lr=0.5)
    gradient = 1 + 0.25 * model.weight.detach()
    moved = _one_step(optimizer, model)
    torch.testing.assert_close(moved["weight"], 0.5 * 1.9 * gradient)  # g + m * v, with v = g at first
    torch.testing.assert_close(moved["bias"], torch.full((2,), 0.5 * 1.9))


def test_sgd_without_momentum_is_plain_descent() -> None:
    model = nn.Linear(2, 2)
    optimizer = build_optimizer(model, OptimRecipe(optimizer="sgd", momentum=0.0, weight_decay=0.0), lr=0.5)
    torch.testing.assert_close(_one_step(optimizer, model)["bias"], torch.full((2,), 0.5))


def test_adamw_decays_weights_only_and_apart_from_the_gradient() -> None:
    model = nn.Linear(2, 2)
    optimizer = build_optimizer(model, OptimRecipe(optimizer="adamw", weight_decay=0.25), lr=0.1)
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.999)
    weight = model.weight.detach().clone()
    moved = _one_step(optimizer, model)
    torch.testing.assert_close(moved["weight"], 0.1 * 0.25 * weight + 0.1)
    torch.testing.assert_close(moved["bias"], torch.full((2,), 0.1))
