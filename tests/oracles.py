"""Slow, obvious versions to compare with: loops over scalars, float64, written from the paper and the reference."""

import math

import numpy as np
import torch
from torch import Tensor


def nt_xent_loop(z_a: Tensor, z_b: Tensor, temperature: float, normalize: bool = True) -> Tensor:
    """Algorithm 1 of the paper as printed: views 2k-1 and 2k are twins, two nested loops, no masking."""
    z = [row.double() for pair in zip(z_a, z_b, strict=True) for row in pair]  # twins side by side
    if normalize:
        z = [row / row.square().sum().sqrt() for row in z]
    count = len(z)

    def loss(i: int, j: int) -> Tensor:
        others = sum((torch.exp((z[i] * z[k]).sum() / temperature) for k in range(count) if k != i), torch.zeros(()))
        return -torch.log(torch.exp((z[i] * z[j]).sum() / temperature) / others)

    pairs = [loss(2 * k, 2 * k + 1) + loss(2 * k + 1, 2 * k) for k in range(count // 2)]
    return torch.stack(pairs).sum() / count


def nt_xent_anchors(z_a: Tensor, z_b: Tensor, temperature: float) -> Tensor:
    """The same for many rows: one loop, over the anchors, in float64."""
    z = torch.cat([z_a, z_b]).double()
    z = z / z.square().sum(dim=1, keepdim=True).sqrt()
    n, total = len(z_a), torch.zeros((), dtype=torch.float64)
    for i in range(2 * n):
        logits = z @ z[i] / temperature
        negatives = [k for k in range(2 * n) if k not in (i, (i + n) % (2 * n))]
        total = total + torch.log1p(torch.exp(logits[negatives] - logits[(i + n) % (2 * n)]).sum())
    return total / (2 * n)


def lars_step(
    w: np.ndarray,
    g: np.ndarray,
    v: np.ndarray,
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    trust_coefficient: float,
    adapt: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """One tensor, one step, as reference 3.1 spells it out; returns the new w and v."""
    g = g + weight_decay * w
    w_norm, g_norm = math.sqrt(float((w**2).sum())), math.sqrt(float((g**2).sum()))
    trust = trust_coefficient * w_norm / g_norm if adapt and w_norm > 0 and g_norm > 0 else 1.0
    v = momentum * v + lr * trust * g
    return w - v, v
