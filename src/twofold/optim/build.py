"""From a recipe to an optimizer."""

import torch
from torch import Tensor, nn

from twofold.errors import TwofoldError
from twofold.optim.groups import param_groups
from twofold.optim.lars import LARS
from twofold.optim.own import OwnOptimizer
from twofold.recipes.own import is_own
from twofold.recipes.recipe import OptimRecipe


def build_optimizer(
    model: nn.Module, recipe: OptimRecipe, *, lr: float, capturable: bool = False
) -> torch.optim.Optimizer:
    """LARS, SGD with Nesterov momentum, AdamW or the user's own over the trainable parameters of a model.

    Norms and biases get neither weight decay nor LARS's trust ratio (`param_groups`). SGD's decay is L2 in the
    gradient, AdamW's is decoupled; `momentum` is AdamW's first beta. (The official SGD decays biases too.)
    `capturable` is for steps that a CUDA graph holds: nothing that changes from step to step is a number of the host.
    Raises TwofoldError where the recipe only names an optimizer of the user's. Source: reference 3.1.
    """
    if isinstance(recipe, OwnOptimizer):
        return recipe.build(model)
    if is_own(recipe.optimizer):
        raise TwofoldError(
            f"optimizer is '{recipe.optimizer}', one of your own, but a recipe keeps its name alone. Give it in "
            "Python: twofold.pretrain(..., optimizer=...)."
        )
    groups = param_groups(model, recipe.weight_decay)
    if recipe.optimizer == "lars":
        return LARS(groups, lr=lr, momentum=recipe.momentum, trust_coefficient=recipe.trust_coefficient)
    if recipe.optimizer == "sgd":
        nesterov = recipe.momentum > 0  # PyTorch refuses Nesterov's step without momentum
        return torch.optim.SGD(groups, lr=lr, momentum=recipe.momentum, nesterov=nesterov, fused=_has_fused(model))
    betas = (recipe.momentum, 0.999)
    return torch.optim.AdamW(groups, lr=lr, betas=betas, fused=_has_fused(model), capturable=capturable)


def set_lr(optimizer: torch.optim.Optimizer, lr: float | Tensor) -> None:
    """Give every group the learning rate `lr`, or its share of it where the groups have rates of their own."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_share"] if group.get("lr_share", 1.0) != 1.0 else lr


def _has_fused(model: nn.Module) -> bool | None:
    """True where one kernel does the whole step (on a CPU five times as fast as foreach), None: PyTorch chooses."""
    alike = all(parameter.device.type in ("cpu", "cuda") for parameter in model.parameters())
    return True if alike else None
