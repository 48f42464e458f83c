"""Batch norm over the batches of all processes.

A batch norm keeps its module, its weights and whatever its class does besides; only where its statistics come from
changes. torch's SyncBatchNorm refuses the CPU and makes the host wait for the device.

Legend: K processes, n images of one of them, C channels.
"""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.lazy import LazyModuleMixin
from torch.overrides import TorchFunctionMode

from twofold.distributed.world import World
from twofold.errors import TwofoldError


def global_norm(model: nn.Module, world: World) -> nn.Module:
    """Let every batch norm of the model take its statistics over all processes, in place; keys and weights stay.

    A class of its own that builds on torch's batch norm (timm's BatchNormAct2d, which holds the activation) keeps what
    it does besides. One that computes statistics by itself raises TwofoldError when it is first trained.
    """
    if world.size > 1:
        for name, module in model.named_modules():
            if isinstance(module, _BatchNorm):
                _make_global(module, name, world)
    return model


def _make_global(module: _BatchNorm, name: str, world: World) -> None:
    if isinstance(module, LazyModuleMixin):
        raise TwofoldError(
            f"the batch norm '{name}' ({type(module).__name__}) has not seen an input, so its number of channels is "
            "unknown. Run the encoder once on a batch before, or use nn.BatchNorm2d."
        )
    if not isinstance(module, GlobalBatchNorm):
        module.__class__ = _global_class(type(module), name, world)  # hooks, buffers and parametrizations stay


def _global_class(kind: type[_BatchNorm], name: str, world: World) -> type[_BatchNorm]:
    own = kind.forward not in (_BatchNorm.forward, nn.SyncBatchNorm.forward)
    base = _GlobalSubclass if own else GlobalBatchNorm
    return type(f"Global{kind.__name__}", (base, kind), {"world": world, "place": name})


class GlobalBatchNorm(_BatchNorm):
    """Mean and variance, running statistics and gradients are those of the undivided batch (equal shares assumed)."""

    world: ClassVar[World]
    place: ClassVar[str]  # the module's name in the model

    def forward(self, x: Tensor) -> Tensor:
        """(n, C) or (n, C, ...), the same shape in every process. Evaluation is that of one process."""
        if not self.training:
            return super().forward(x)
        self._check_input_dim(x)  # type: ignore[no-untyped-call]
        running_mean = running_var = None
        share = self.momentum or 0.0
        if self.track_running_stats:
            running_mean, running_var = self.running_mean, self.running_var
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
                if self.momentum is None:
                    share = 1.0 / float(self.num_batches_tracked)
        return batch_norm(self.world, x, running_mean, running_var, self.weight, self.bias, True, share, self.eps)


class _GlobalSubclass(GlobalBatchNorm):
    """A batch norm whose class has a `forward` of its own, which calls torch's batch norm somewhere."""

    def forward(self, x: Tensor) -> Tensor:
        own_forward: Callable[[Tensor], Tensor] = super(GlobalBatchNorm, self).forward  # of the class it was
        if not self.training:
            return own_forward(x)
        with _OverAll(self.world) as seen:
            out = own_forward(x)
        if not seen.calls:
            raise TwofoldError(
                f"the batch norm '{self.place}' ({type(self).__name__.removeprefix('Global')}) does not call torch's "
                "batch_norm, so its statistics would be those of one process' images. Train with --processes 1, or "
                "use nn.BatchNorm2d."
            )
        return out


class _OverAll(TorchFunctionMode):
    """Within it torch's batch norm is the one over all processes."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world, self.calls = world, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not functional.batch_norm:
            return func(*args, **(kwargs or {}))
        self.calls += 1
        return batch_norm(self.world, *args, **(kwargs or {}))


def batch_norm(
    world: World,
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`torch.nn.functional.batch_norm` with the statistics of all processes where `training`."""
    if not training:
        return functional.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    out, mean, var = _GlobalNorm.apply(input, weight, bias, eps, world)
    if running_mean is not None and running_var is not None:
        count = math.prod((len(input), *input.shape[2:])) * world.size
        running_mean.lerp_(mean, momentum)
        running_var.lerp_(var * (count / (count - 1)), momentum)
    return out


class _GlobalNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, world: World
    ) -> tuple[Tensor, Tensor, Tensor]:
        # statistics come out in the type of the (unused) running ones: without these, bf16 for a bf16 x
        unused = torch.zeros(2, x.shape[1], dtype=torch.promote_types(x.dtype, torch.float32), device=x.device)
        local = torch.cat(torch.batch_norm_update_stats(x, unused[0], unused[1], 0.0))
        means, variances = world.stack(local).chunk(2, dim=1)  # (K, C) each
        mean = means.mean(dim=0)
        var = (variances + (means - mean).square()).mean(dim=0)
        ctx.save_for_backward(x, weight, mean, (var + eps).rsqrt())
        ctx.eps, ctx.world = eps, world
        ctx.mark_non_differentiable(mean, var)
        return functional.batch_norm(x, mean, var, weight, bias, False, 0.0, eps), mean, var

    @staticmethod
    def backward(ctx: Any, outer: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        """With sums over one process instead of all, torch's own gradient is wrong by an affine function of x."""
        x, weight, mean, inverse_std = ctx.saved_tensors
        outer = outer.contiguous(memory_format=torch.channels_last) if _is_channels_last(x) else outer.contiguous()
        inward, along, total = torch.ops.aten.native_batch_norm_backward(
            outer, x, weight, None, None, mean, inverse_std, True, ctx.eps, [True, True, True]
        )
        channels, count = x.shape[1], x.numel() // x.shape[1]
        sums = torch.cat([along, total])  # local: sum of outer * x_hat, sum of outer
        excess = sums / count - ctx.world.sum(sums) / (count * ctx.world.size)
        scale = inverse_std if weight is None else inverse_std * weight
        slope = scale * excess[:channels] * inverse_std
        offset = scale * excess[channels:] - slope * mean
        zero = torch.zeros_like(mean)  # x * slope + offset in one pass: the variance is 0 and eps 1, as eps must be > 0
        inward += functional.batch_norm(x, zero, zero, slope, offset, False, 0.0, 1.0)
        return inward, along if weight is not None else None, total if ctx.needs_input_grad[2] else None, None, None


def _is_channels_last(x: Tensor) -> bool:
    return x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
