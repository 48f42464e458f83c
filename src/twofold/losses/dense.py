"""NT-Xent with the whole matrix of similarities in memory: the definition, and the standard for the tiled version.

Legend: n images, p = dim of z, m anchors.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from twofold.losses.prepare import (
    Anchors,
    anchor_range,
    anchor_rows,
    positives,
    prepare,
    require_pair,
    require_temperature,
)

_LINEAR_ABOVE = 40.0  # log(1 + exp(x)) is x to every digit of float64


def nt_xent_dense(
    z_a: Float[Tensor, "n p"],
    z_b: Float[Tensor, "n p"],
    *,
    temperature: float,
    normalize: bool = True,
    anchors: Anchors | None = None,
) -> Float[Tensor, ""]:
    """`nt_xent` by its definition: memory grows with m x 2n. Arguments, value and errors are those of `nt_xent`."""
    require_pair(z_a, z_b)
    require_temperature(temperature)
    n = len(z_a)
    start, stop = anchor_range(anchors, n)
    with torch.autocast(z_a.device.type, enabled=False):
        z = prepare(torch.cat([z_a, z_b]), normalize)  # (2n, p)
        rows = anchor_rows((start, stop), n, z.device)  # (m,)
        pairs = positives(rows, n)  # (m,)
        positive = (z[rows] * z[pairs]).sum(dim=1) / temperature  # (m,): the positive's logit
        logits = _hide((z[rows] / temperature) @ z.T, rows, pairs)  # (m, 2n)
        others = logits.logsumexp(dim=1)  # (m,): what the negatives add up to
        # log(1 + exp(others - positive)): unlike a difference of two logs, exact also where the loss is small
        return functional.softplus(others - positive, threshold=_LINEAR_ABOVE).sum() / (2 * n)


def _hide(logits: Tensor, rows: Tensor, pairs: Tensor) -> Tensor:
    """No view is its own negative, nor is its positive. In place: the matrix is the largest thing here."""
    return logits.scatter_(1, torch.stack([rows, pairs], dim=1), torch.finfo(logits.dtype).min)
