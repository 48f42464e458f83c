"""DCL: NT-Xent whose positive has left the denominator.

Legend: n images, p = dim of z, r anchors of a block.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from twofold.errors import TwofoldError
from twofold.losses.pairwise import mean_over_anchors
from twofold.losses.prepare import Anchors, require_pair, require_temperature


def dcl(
    z_a: Float[Tensor, "n p"],
    z_b: Float[Tensor, "n p"],
    *,
    temperature: float,
    normalize: bool = True,
    anchors: Anchors | None = None,
) -> Float[Tensor, ""]:
    """Decoupled contrastive loss: NT-Xent without the factor that fades its gradient in small batches.

    With z = [z_a; z_b] of 2n rows, j(i) the positive of i and s(i, k) = <z_i, z_k> / (|z_i| |z_k|):

        loss = 1/2n  sum_i  ( -s(i, j(i)) / t  +  log sum_{k != i, j(i)} exp(s(i, k) / t) )

    The sum is over the 2n - 2 views of other images; they are summed, not averaged, as in `nt_xent`, whose term for
    anchor i is log(1 + exp(term here)). z_a, z_b: (n, p), row i of both from image i, n >= 2. Returns the mean over the
    2n anchors in nats: ln(2n - 2) when all similarities are equal, at least ln(2n - 2) - 2/t for normalised rows, so
    also below 0. normalize=False takes plain inner products; types and `anchors` are as in `nt_xent`. Raises
    TwofoldError for unequal shapes, fewer than two rows, or a temperature of 0 or less.
    Source: Yeh et al., Decoupled Contrastive Learning, ECCV 2022 (arXiv 2110.06848), L_DC.

    >>> z = torch.ones(4, 2)  # all alike: ln(2 * 4 - 2)
    >>> round(dcl(z, z, temperature=0.5).item(), 4)
    1.7918
    """
    require_pair(z_a, z_b)
    require_temperature(temperature)
    if len(z_a) < 2:
        raise TwofoldError("z_a and z_b hold 1 image, but DCL needs the views of others. Give at least 2 rows.")

    def term(s: Tensor, positive: Tensor, negatives: Tensor) -> Tensor:
        return (s / temperature).masked_fill(~negatives, -torch.inf).logsumexp(dim=1) - positive / temperature

    return mean_over_anchors(z_a, z_b, term, normalize=normalize, anchors=anchors)
