"""An optimizer that Python hands over, in place of a name in the recipe."""

import inspect
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import torch
from torch import nn

from twofold.errors import TwofoldError
from twofold.optim.groups import param_groups
from twofold.recipes.kinds import unfit
from twofold.recipes.own import call_own, own_name
from twofold.recipes.recipe import OptimRecipe

Groups = list[dict[str, Any]]
BuildOptimizer = Callable[[Groups], torch.optim.Optimizer]


@dataclass(frozen=True)
class OwnOptimizer(OptimRecipe):
    """The recipe of an optimizer that `source` makes. A recipe.json keeps the name of its class, its learning rate,
    its weight decay and its momentum."""

    _: KW_ONLY
    source: object = field(compare=False, repr=False)

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimizer over the trainable parameters of a model. Raises TwofoldError where it leaves some out.

        Each group's `lr_share` says how many times `base_lr` its own rate is.
        """
        groups = param_groups(model, None)
        trained = {id(weight) for group in groups for weight in group["params"]}
        optimizer = _made(self.source, groups)
        held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
        if held != trained:
            raise TwofoldError(
                f"the optimizer holds {len(held & trained)} of the model's {len(trained)} parameters, but it must hold "
                "all that it is given. Pass on the groups, and freeze a weight by requires_grad_(False)."
            )
        for group in optimizer.param_groups:
            group["lr_share"] = float(group["lr"]) / self.base_lr
        return optimizer


def own_optimizer(source: object) -> OwnOptimizer:
    """The recipe of `source`, a function from parameter groups to a torch optimizer: `lambda groups:
    torch.optim.SGD(groups, lr=0.1)`.

    The highest learning rate of its groups is where the schedule (warm-up, then a cosine) has its peak; the groups keep
    their proportions. Norms and biases are a group without weight decay. Raises TwofoldError for anything
    else.
    """
    shapes = [{**group, "params": [nn.Parameter(torch.zeros(1))]} for group in param_groups(nn.Linear(1, 1), None)]
    optimizer = _made(source, shapes)
    rates = [float(group["lr"]) for group in optimizer.param_groups if "lr" in group]
    first = optimizer.param_groups[0]
    return OwnOptimizer(
        optimizer=own_name(type(optimizer)),
        base_lr=max(rates, default=0.0),
        lr_scaling="none",
        momentum=float(first.get("momentum", first.get("betas", (0.0,))[0])),
        weight_decay=float(first.get("weight_decay", 0.0)),
        source=source,
    )


def _made(source: object, groups: Groups) -> torch.optim.Optimizer:
    if not callable(source):
        raise unfit("optimizer", source, "a function from parameter groups to a torch.optim.Optimizer")
    fix = "It gets parameter groups, as those of twofold.param_groups, and returns an optimizer that takes such."
    optimizer = call_own("optimizer", source, groups, fix=fix)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TwofoldError(
            f"optimizer returned an object of the type {type(optimizer).__name__}, but it must return a "
            "torch.optim.Optimizer. Return one, as in lambda groups: torch.optim.SGD(groups, lr=0.1)."
        )
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise TwofoldError(
            f"the optimizer {type(optimizer).__name__} computes the loss several times a step, but a step of "
            "pretraining computes it once. Give one whose step() needs no closure."
        )
    return optimizer
