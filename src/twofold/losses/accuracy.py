"""How often the twin is found: the accuracy that goes with the loss.

Legend: n images, p = dim of z, m anchors.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from twofold.losses.prepare import Anchors, anchor_range, prepare, require_pair

_ROWS = 1024  # compared at once, so that memory grows with n alone


def contrast_accuracy(
    z_a: Float[Tensor, "n p"], z_b: Float[Tensor, "n p"], *, normalize: bool = True, anchors: Anchors | None = None
) -> Float[Tensor, ""]:
    """Share of the rows of z_a whose most similar row of z_b is their own twin: in [0, 1], chance 1/n.

    anchors=(start, stop) counts those rows alone, still over n: the parts of several processes add up.
    Raises TwofoldError for unequal shapes. Source: reference 2, `contrast_acc`.
    """
    require_pair(z_a, z_b)
    start, stop = anchor_range(anchors, len(z_a))
    with torch.autocast(z_a.device.type, enabled=False):
        a, b = prepare(z_a, normalize), prepare(z_b, normalize)
        rows = torch.arange(start, stop, device=a.device)
        found = torch.cat([(a[part] @ b.T).argmax(dim=1) == part for part in rows.split(_ROWS)])
        return found.to(a.dtype).sum() / len(a)
