"""The triplet loss: the positive shall be nearer than any other by a margin.

Legend: n images, p = dim of z, r anchors of a block.
"""

from jaxtyping import Float
from torch import Tensor

from twofold.losses.pairwise import mean_over_anchors, mean_where, semi_hard_of
from twofold.losses.prepare import Anchors, require_margin, require_pair


def triplet(
    z_a: Float[Tensor, "n p"],
    z_b: Float[Tensor, "n p"],
    *,
    margin: float,
    semi_hard: bool = False,
    normalize: bool = True,
    anchors: Anchors | None = None,
) -> Float[Tensor, ""]:
    """Margin triplet loss on similarities: is the positive more similar than the others, by at least the margin?

    With z = [z_a; z_b] of 2n rows, j(i) the positive of i and s(i, k) = <z_i, z_k> / (|z_i| |z_k|):

        loss = 1/2n  sum_i  mean_{k in K(i)}  max(s(i, k) - s(i, j(i)) + margin, 0)

    K(i) are the 2n - 2 views of other images: the mean is the expectation over triplets (anchor, positive, one negative
    drawn uniformly), so that neither value nor gradient grows with the batch. With `semi_hard` K(i) are only those with
    s(i, j(i)) - margin < s(i, k) < s(i, j(i)):  farther than the positive, but by less than the margin; the choice
    itself has no gradient, and where no view qualifies, the anchor's term is 0.
    (The paper is said to have drawn its negatives from one of the two views; here they come from both.)

    z_a, z_b: (n, p), row i of both from image i. Returns the mean over the 2n anchors: in [0, 2 + margin] for
    normalised rows, in [0, margin) with `semi_hard`; `margin` when all similarities are equal (0 with `semi_hard`), 0
    when n = 1. normalize=False takes plain inner products; types and `anchors` are as in `nt_xent`. Raises
    TwofoldError for unequal shapes, no rows, a margin below 0, and with semi_hard a margin of 0.
    Source: paper, table 2 and section 5.1; FaceNet (arXiv 1503.03832), section 3.2, for semi-hard.

    >>> import torch
    >>> z = torch.ones(4, 2)  # all alike: the margin
    >>> round(triplet(z, z, margin=0.8).item(), 4)
    0.8
    """
    require_pair(z_a, z_b)
    require_margin(margin, semi_hard)

    def term(s: Tensor, positive: Tensor, negatives: Tensor) -> Tensor:
        counted = semi_hard_of(s, positive, negatives, margin) if semi_hard else negatives
        return mean_where((s - positive[:, None] + margin).relu(), counted)

    return mean_over_anchors(z_a, z_b, term, normalize=normalize, anchors=anchors)
