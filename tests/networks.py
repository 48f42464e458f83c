"""A small encoder that can be trained in milliseconds, and what tells two states of a network apart."""

from collections.abc import Callable

import torch
from torch import nn

from twofold.evaluation.schedules import Schedule
from twofold.recipes.recipe import OptimRecipe, ViewsRecipe

SIDE = 8
DIM = 4 * SIDE**2
VIEWS = ViewsRecipe(size_px=SIDE, policy="small", crop_area=(1.0, 1.0), eval_crop_fraction=1.0)  # crops show all of it


class Tiny(nn.Module):
    """h = ReLU(batch norm(convolution)), flattened; the weights are a function of the seed."""

    dim = DIM

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.conv = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.conv(x))).flatten(1)


class TinyRows(Tiny):
    """h = the means over the rows of pixels: few numbers, on which probes are fitted at once."""

    dim = 4 * SIDE

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.conv(x))).mean(3).flatten(1)


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of every parameter and buffer."""
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Whether two states are equal bit for bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def schedule(steps: int = 40, batch_size: int = 20, base_lr: float = 0.1, weight_decay: float = 0.0) -> Schedule:
    """SGD with Nesterov momentum and cosine, at `base_lr` whatever the batch."""
    optim = OptimRecipe(
        optimizer="sgd", base_lr=base_lr, lr_scaling="none", weight_decay=weight_decay, warmup_fraction=0.0
    )
    return Schedule(steps=steps, batch_size=batch_size, optim=optim)


def recording(real: Callable, seen: list) -> Callable:
    """`real`, whose positional arguments and options are put into `seen` first."""

    def watched(*parts, **options):
        seen.append((parts, options))
        return real(*parts, **options)

    return watched
