"""A 3x3 convolution that is quick on maps of a few places too, on a CPU.

Legend: n images, c and o channels in and out, h x w places in (1 or 2 a side), h2 x w2 places out.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

MOST_SIDE = 2  # places a side up to which every place sees every other through a 3x3 kernel


class Convolution(nn.Conv2d):
    """`nn.Conv2d` with its weights and results; on a CPU a 3x3 kernel on at most 2x2 places is one matrix product.

    There all places out are sums over all places in, so the convolution is a dense layer whose weights are parts of
    the kernel. A ResNet-18 with the ImageNet stem at 32 px takes two thirds of the time with it on a CPU.
    A GPU's own convolution is left alone.
    """

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n o h2 w2"]:
        """The convolution of x."""
        alike = self.kernel_size == (3, 3) and self.padding == (1, 1) and self.stride in ((1, 1), (2, 2))
        if not alike or max(x.shape[-2:]) > MOST_SIDE or x.device.type != "cpu":
            return super().forward(x)
        h, w = x.shape[-2:]
        stride = self.stride[0]
        h2, w2 = (h - 1) // stride + 1, (w - 1) // stride + 1
        flat = x.permute(0, 2, 3, 1).reshape(len(x), -1)  # (n, h w c)
        y = functional.linear(flat, DenseWeight.apply(self.weight, h, w, h2, w2))
        return y.view(len(x), h2, w2, -1).permute(0, 3, 1, 2)  # channels-last


class DenseWeight(torch.autograd.Function):
    """The dense layer of a 3x3 convolution with padding 1 on h x w places: (o, c, 3, 3) -> (h2 w2 o, h w c)."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, h: int, w: int, h2: int, w2: int) -> Tensor:
        """Rows by place out and channel out, columns by place in and channel in."""
        ctx.shape, ctx.places = weight.shape, (h, w, h2, w2)
        o, c = weight.shape[:2]
        parts = _parts(h, w, h2, w2)
        dense = weight.new_empty(len(parts), o, h, w, c)
        for rows, part in zip(dense, parts, strict=True):
            rows.copy_(weight[part].permute(0, 2, 3, 1))
        return dense.view(len(parts) * o, h * w * c)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Each weight's gradient is the sum over the places where it is used."""
        (o, c, _, _), (h, w, h2, w2) = ctx.shape, ctx.places
        total = gradient.new_zeros(o, 3, 3, c).permute(0, 3, 1, 2)  # as the rows lie: else each sum is a transposition
        for part, rows in zip(_parts(h, w, h2, w2), gradient.split(o), strict=True):
            total[part] += rows.view(o, h, w, c).permute(0, 3, 1, 2)
        return total, None, None, None, None


def _parts(h: int, w: int, h2: int, w2: int) -> list[tuple[slice, ...]]:
    """For each place out, the part of the kernel that lies on the h x w places in.

    A stride other than 1 has a single place out here, so that the second place of a side is always one further.
    """
    return [
        (slice(None), slice(None), slice(1 - y, 1 - y + h), slice(1 - x, 1 - x + w))
        for y in range(h2)
        for x in range(w2)
    ]
