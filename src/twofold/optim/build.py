"""From a recipe to an optimizer."""

import torch
from torch import nn

from twofold.optim.groups import param_groups
from twofold.optim.lars import LARS
from twofold.recipes.recipe import OptimRecipe


def build_optimizer(
    model: nn.Module, recipe: OptimRecipe, *, lr: float, capturable: bool = False
) -> torch.optim.Optimizer:
    """LARS, SGD with Nesterov momentum or AdamW over the trainable parameters of a model.

    Norms and biases get neither weight decay nor LARS's trust ratio (`param_groups`). SGD's decay is L2 in the
    gradient, AdamW's is decoupled; `momentum` is AdamW's first beta. (The official SGD decays biases too.)
    `capturable` is for steps that a CUDA graph holds: nothing that changes from step to step is a number of the host.
    Source: reference 3.1.
    """
    groups = param_groups(model, recipe.weight_decay)
    if recipe.optimizer == "lars":
        return LARS(groups, lr=lr, momentum=recipe.momentum, trust_coefficient=recipe.trust_coefficient)
    if recipe.optimizer == "sgd":
        nesterov = recipe.momentum > 0  # PyTorch refuses Nesterov's step without momentum
        return torch.optim.SGD(groups, lr=lr, momentum=recipe.momentum, nesterov=nesterov, fused=_has_fused(model))
    betas = (recipe.momentum, 0.999)
    return torch.optim.AdamW(groups, lr=lr, betas=betas, fused=_has_fused(model), capturable=capturable)


def _has_fused(model: nn.Module) -> bool | None:
    """True where one kernel does the whole step (on a CPU five times as fast as foreach), None: PyTorch chooses."""
    alike = all(parameter.device.type in ("cpu", "cuda") for parameter in model.parameters())
    return True if alike else None
