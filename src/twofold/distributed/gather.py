"""The gather of all processes' rows, whose backward sums the gradient over processes."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, distributed


def _collective(*names: str) -> Callable[..., Any]:
    """The first of these that this torch has: 2.14 renamed some and warns about the old names."""
    return next(getattr(distributed, name) for name in names if hasattr(distributed, name))


all_gather = _collective("all_gather_single", "all_gather_into_tensor")
_reduce_scatter = _collective("reduce_scatter_single", "reduce_scatter_tensor")


class Gather(torch.autograd.Function):
    """The rows of all processes, by rank: (n, p) -> (N, p). The gradient of n rows is its sum over all processes.

    Applied to (rows, world), the world a `World`.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, world: Any) -> Tensor:
        ctx.world = world
        return world.stack(rows.reshape(-1)).view(world.size * len(rows), *rows.shape[1:])

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None]:
        world = ctx.world
        if world.mailbox:
            return world.sum(outer).chunk(world.size)[world.rank], None
        own = outer.new_empty(len(outer) // world.size, *outer.shape[1:])
        _reduce_scatter(own, outer.contiguous())
        return own, None
