"""How often the positive is found, and how undecided the search is: what is watched beside the loss.

Legend: n images, p = dim of z, r rows of them at a time.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from twofold.losses.prepare import Anchors, anchor_range, prepare, require_pair, require_temperature

_ROWS = 1024  # compared at once, so that memory grows with n alone
_NUMBERS_OFF_CPU = 2**26  # compared at once where rows are cheap and launches are not: 256 MiB


def contrast_accuracy(
    z_a: Float[Tensor, "n p"], z_b: Float[Tensor, "n p"], *, normalize: bool = True, anchors: Anchors | None = None
) -> Float[Tensor, ""]:
    """Share of the rows of z_a whose most similar row of z_b is their own positive: in [0, 1], chance 1/n.

    anchors=(start, stop) counts those rows alone, still over n: the parts of several processes add up.
    Raises TwofoldError for unequal shapes. Source: reference 2.4.

    >>> z = torch.eye(4)
    >>> contrast_accuracy(z, z).item()
    1.0
    """
    require_pair(z_a, z_b)
    return contrast_measures(z_a, z_b, temperature=1.0, normalize=normalize, anchors=anchors)[0]


def contrast_measures(
    z_a: Float[Tensor, "n p"],
    z_b: Float[Tensor, "n p"],
    *,
    temperature: float,
    normalize: bool = True,
    anchors: Anchors | None = None,
) -> Float[Tensor, "2"]:
    """`contrast_accuracy`, and beside it the contrastive entropy: one product of z_a and z_b gives both.

        entropy = 1/n  sum_i  -sum_k p(i, k) ln p(i, k),   p(i, k) = softmax over k of s(a_i, b_k) / t

    In nats, from 0 (every row of z_a has decided on one row of z_b) to ln n (undecided among all). Without gradient,
    in memory that grows with n alone. anchors=(start, stop) takes those rows alone, still over n.
    Raises TwofoldError for unequal shapes and for a temperature of 0 or less. Source: reference 2.4.
    """
    require_pair(z_a, z_b)
    require_temperature(temperature)
    start, stop = anchor_range(anchors, len(z_a))
    with torch.no_grad(), torch.autocast(z_a.device.type, enabled=False):
        a, b = prepare(z_a, normalize), prepare(z_b, normalize)
        rows = torch.arange(start, stop, device=a.device)
        sums = [_sums(a[part] @ b.T, part, temperature) for part in rows.split(_rows_at_once(a))]
        return torch.stack(sums).sum(dim=0) / len(a)


def _rows_at_once(z: Tensor) -> int:
    return _ROWS if z.device.type == "cpu" else max(_ROWS, _NUMBERS_OFF_CPU // len(z))


def _sums(similarities: Tensor, rows: Tensor, temperature: float) -> Tensor:
    """How many of these rows find their positive, and the sum of their entropies. Changes `similarities` in place."""
    best = similarities.max(dim=1, keepdim=True)
    found = (best.indices[:, 0] == rows).sum()
    logits = similarities.sub_(best.values).div_(temperature)  # the largest is 0: nothing overflows
    weights = logits.exp()
    total = weights.sum(dim=1)
    entropy = total.log() - weights.mul_(logits).sum(dim=1) / total
    return torch.stack([found.to(entropy.dtype), entropy.sum()])
