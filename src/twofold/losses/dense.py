"""NT-Xent with the whole matrix of similarities in memory: the definition, and the standard for the tiled version.

Legend: n images, p = dim of z, m anchors.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from twofold.losses.prepare import Anchors, anchor_range, prepare, require_pair, require_temperature, twins


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
        rows = torch.cat([torch.arange(start, stop), torch.arange(n + start, n + stop)]).to(z.device)  # (m,)
        logits = _hide_self((z[rows] / temperature) @ z.T, rows)  # (m, 2n)
        return functional.cross_entropy(logits, twins(rows, n), reduction="sum") / (2 * n)


def _hide_self(logits: Tensor, rows: Tensor) -> Tensor:
    """No view is its own negative. In place: the matrix is the largest thing here."""
    logits[torch.arange(len(rows), device=rows.device), rows] = -torch.inf
    return logits
