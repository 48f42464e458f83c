"""NT-Logistic: each pair by itself is a question of yes or no.

Legend: n images, p = dim of z, r anchors of a block.
"""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from twofold.losses.pairwise import mean_over_anchors, mean_where, semi_hard_of
from twofold.losses.prepare import Anchors, require_margin, require_pair, require_temperature


def nt_logistic(
    z_a: Float[Tensor, "n p"],
    z_b: Float[Tensor, "n p"],
    *,
    temperature: float,
    semi_hard: bool = False,
    margin: float = 0.8,
    normalize: bool = True,
    anchors: Anchors | None = None,
) -> Float[Tensor, ""]:
    """Normalised temperature-scaled logistic loss: is this the positive, yes or no?

    With z = [z_a; z_b] of 2n rows, j(i) the positive of i, s(i, k) = <z_i, z_k> / (|z_i| |z_k|) and sigma the logistic
    function:

        loss = 1/2n  sum_i  -( log sigma(s(i, j(i)) / t)  +  mean_{k in K(i)} log sigma(-s(i, k) / t) )

    K(i) are the 2n - 2 views of other images. The paper's formula has one negative; this is its expectation over one
    drawn uniformly, so that the two halves weigh the same at every batch size. With `semi_hard` K(i) are only those
    with  s(i, j(i)) - margin < s(i, k) < s(i, j(i)):  farther than the positive, but by less than the margin (`margin`
    is read by `semi_hard` alone); the choice itself has no gradient, and where no view qualifies, the second half is 0.
    (The paper is said to have drawn its negatives from one of the two views; here they come from both.)

    z_a, z_b: (n, p), row i of both from image i. Returns the mean over the 2n anchors in nats, above 0:
    softplus(-s/t) + softplus(s/t) >= 2 ln 2 when all similarities are s. normalize=False takes plain inner products;
    types and `anchors` are as in `nt_xent`. Raises TwofoldError for unequal shapes, no rows, a temperature of 0 or
    less, and with semi_hard a margin of 0 or less.
    Source: paper, table 2 and section 5.1; FaceNet (arXiv 1503.03832), section 3.2, for semi-hard.

    >>> import torch
    >>> z = torch.ones(4, 2)  # all alike: softplus(-1 / t) + softplus(1 / t)
    >>> round(nt_logistic(z, z, temperature=1.0).item(), 4)
    1.6265
    """
    require_pair(z_a, z_b)
    require_temperature(temperature)
    require_margin(margin, semi_hard)

    def term(s: Tensor, positive: Tensor, negatives: Tensor) -> Tensor:
        counted = semi_hard_of(s, positive, negatives, margin) if semi_hard else negatives
        return softplus(-positive / temperature) + mean_where(softplus(s / temperature), counted)

    return mean_over_anchors(z_a, z_b, term, normalize=normalize, anchors=anchors)
