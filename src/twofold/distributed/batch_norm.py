"""Batch norm over the batches of all processes.

Legend: K processes, n images of one of them, C channels.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from twofold.distributed.world import World


class GlobalBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the batches of all processes, on any device; torch's SyncBatchNorm refuses the CPU.

    Mean and variance, running statistics and gradients are those of the undivided batch (equal shares assumed).
    """

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d, world: World) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self.weight, self.bias = norm.weight, norm.bias
        for name, buffer in norm.named_buffers():
            setattr(self, name, buffer)
        self.world = world

    def forward(self, x: Tensor) -> Tensor:
        """(n, C) or (n, C, H, W), the same shape in every process."""
        if not self.training:
            return functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        out, mean, var = _GlobalNorm.apply(x, self.weight, self.bias, self.eps, self.world)
        if self.track_running_stats:
            assert self.num_batches_tracked is not None
            assert self.running_mean is not None
            assert self.running_var is not None
            self.num_batches_tracked.add_(1)
            share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            count = x.numel() // x.shape[1] * self.world.size
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(var * (count / (count - 1)), share)
        return out


def global_norm(model: nn.Module, world: World) -> nn.Module:
    """Let every batch norm of the model take its statistics over all processes; keys and weights stay."""
    if world.size == 1:
        return model
    if world.device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(module, name, GlobalBatchNorm(child, world))
    return model


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
        zero, one = torch.zeros_like(mean), torch.ones_like(mean)
        inward += functional.batch_norm(x, zero, one, slope, offset, False, 0.0, 0.0)
        return inward, along if weight is not None else None, total if ctx.needs_input_grad[2] else None, None, None


def _is_channels_last(x: Tensor) -> bool:
    return x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
