"""Slow, obvious versions to compare with: loops over scalars, float64, written from the paper and the reference."""

import math

import numpy as np
import torch
from torch import Tensor


def nt_xent_loop(z_a: Tensor, z_b: Tensor, temperature: float, normalize: bool = True) -> Tensor:
    """Algorithm 1 of the paper as printed: views 2k-1 and 2k are a positive pair, two nested loops, no masking."""
    z = [row.double() for pair in zip(z_a, z_b, strict=True) for row in pair]  # pairs side by side
    if normalize:
        z = [row / row.square().sum().sqrt() for row in z]
    count = len(z)

    def loss(i: int, j: int) -> Tensor:
        others = sum((torch.exp((z[i] * z[k]).sum() / temperature) for k in range(count) if k != i), torch.zeros(()))
        return -torch.log(torch.exp((z[i] * z[j]).sum() / temperature) / others)

    pairs = [loss(2 * k, 2 * k + 1) + loss(2 * k + 1, 2 * k) for k in range(count // 2)]
    return torch.stack(pairs).sum() / count


def _pair_terms(z_a: Tensor, z_b: Tensor, normalize: bool) -> list[tuple[Tensor, list[Tensor]]]:
    """For each of the 2n views: its similarity with its positive, and those with the 2n - 2 views of other images."""
    views = [(image, row.double()) for z in (z_a, z_b) for image, row in enumerate(z)]
    if normalize:
        views = [(image, row / row.square().sum().sqrt()) for image, row in views]
    terms = []
    for i, (image, row) in enumerate(views):
        positive = [(row * other).sum() for k, (one, other) in enumerate(views) if one == image and k != i]
        terms.append((positive[0], [(row * other).sum() for one, other in views if one != image]))
    return terms


def _semi_hard(positive: Tensor, negatives: list[Tensor], margin: float) -> list[Tensor]:
    return [s for s in negatives if positive.item() - margin < s.item() < positive.item()]


def nt_logistic_loop(
    z_a: Tensor, z_b: Tensor, temperature: float, semi_hard: bool = False, margin: float = 0.8, normalize: bool = True
) -> Tensor:
    """Table 2: log sigma(u.v+ / t) + log sigma(-u.v- / t), negated; the mean over an anchor's negatives."""
    values = []
    for positive, negatives in _pair_terms(z_a, z_b, normalize):
        counted = _semi_hard(positive, negatives, margin) if semi_hard else negatives
        value = -torch.log(1 / (1 + torch.exp(-positive / temperature)))
        for s in counted:
            value = value - torch.log(1 / (1 + torch.exp(s / temperature))) / len(counted)
        values.append(value)
    return torch.stack(values).mean()


def triplet_loop(z_a: Tensor, z_b: Tensor, margin: float, semi_hard: bool = False, normalize: bool = True) -> Tensor:
    """Table 2: max(u.v- - u.v+ + m, 0); the mean over an anchor's negatives."""
    values = []
    for positive, negatives in _pair_terms(z_a, z_b, normalize):
        counted = _semi_hard(positive, negatives, margin) if semi_hard else negatives
        value = 0 * positive
        for s in counted:
            if (s - positive + margin).item() > 0:
                value = value + (s - positive + margin) / len(counted)
        values.append(value)
    return torch.stack(values).mean()


def dcl_loop(z_a: Tensor, z_b: Tensor, temperature: float, normalize: bool = True) -> Tensor:
    """Decoupled contrastive learning: the sum below the line is over the negatives alone."""
    values = [
        -torch.log(torch.exp(positive / temperature) / sum(torch.exp(s / temperature) for s in negatives))
        for positive, negatives in _pair_terms(z_a, z_b, normalize)
    ]
    return torch.stack(values).mean()


def contrast_entropy_loop(z_a: Tensor, z_b: Tensor, temperature: float, normalize: bool = True) -> float:
    """Mean over the rows of z_a of -sum p log p, p the softmax over the rows of z_b."""
    a, b = ([r.double() / (r.double().norm() if normalize else 1.0) for r in z] for z in (z_a, z_b))
    total = 0.0
    for row in a:
        weights = [math.exp(float(row @ other) / temperature) for other in b]
        total -= sum(w / sum(weights) * math.log(w / sum(weights)) for w in weights)
    return total / len(a)


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
