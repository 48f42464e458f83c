"""What NT-Logistic, the triplet loss and DCL share: an anchor's similarities with all others, some rows at a time.

Legend: n images, v = 2n views, p = dim of z, m anchors, r of them in a block.
"""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from twofold.losses.prepare import Anchors, anchor_range, anchor_rows, positives, prepare

_BLOCK = 2**21  # similarities held at once: 8 MiB in float32, a few times that with what is made of them

Term = Callable[[Float[Tensor, "r v"], Float[Tensor, "r"], Bool[Tensor, "r v"]], Float[Tensor, "r"]]


def pairwise_version(n: int, anchor_images: int) -> str:
    """ "dense" or "blocks": whether the similarities of `anchor_images` of n images are held as a whole."""
    return "dense" if 2 * anchor_images * 2 * n <= _BLOCK else "blocks"


def mean_over_anchors(
    z_a: Float[Tensor, "n p"], z_b: Float[Tensor, "n p"], term: Term, *, normalize: bool, anchors: Anchors | None
) -> Float[Tensor, ""]:
    """1/2n times the sum of `term` over the anchors: the loss, or the part of it that `anchors` asks for.

    term(s, positive, negatives) -> one value an anchor, from the inner products s of r anchors with all 2n views, that
    with the anchor's positive, and a mask of the 2n - 2 views that are neither the anchor nor its positive. Where the
    matrix of similarities is large, blocks of its rows are made one after the other, forgotten, and made again in
    backward.
    The caller has checked the pair. Raises TwofoldError for anchors outside the batch.
    """
    n = len(z_a)
    start, stop = anchor_range(anchors, n)
    with torch.autocast(z_a.device.type, enabled=False):
        z = prepare(torch.cat([z_a, z_b]), normalize)  # (2n, p)
        rows = anchor_rows((start, stop), n, z.device)  # (m,)
        blocks = rows.split(max(1, _BLOCK // (2 * n)))
        if len(blocks) == 1:
            return _sum_over(z, rows, term) / (2 * n)
        again = partial(checkpoint, _sum_over, z, use_reentrant=False, preserve_rng_state=False)
        return torch.stack([again(block, term) for block in blocks]).sum() / (2 * n)


def _sum_over(z: Float[Tensor, "v p"], rows: Int64[Tensor, "r"], term: Term) -> Float[Tensor, ""]:
    similarities = z[rows] @ z.T  # (r, 2n)
    positive = positives(rows, len(z) // 2)[:, None]
    return term(similarities, similarities.gather(1, positive)[:, 0], _negatives(similarities, rows, positive)).sum()


def _negatives(similarities: Tensor, rows: Tensor, positive: Tensor) -> Tensor:
    """(r, 2n): neither the anchor itself nor its positive."""
    mask = torch.ones_like(similarities, dtype=torch.bool)
    return mask.scatter_(1, rows[:, None], False).scatter_(1, positive, False)


def semi_hard_of(similarities: Tensor, positive: Tensor, negatives: Tensor, margin: float) -> Tensor:
    """(r, 2n): the negatives that are farther than the positive, but by less than the margin.

    positive - margin < similarity < positive, both strictly. For rows of length one |u - v|^2 = 2 - 2 u.v, so this is
    FaceNet's  d+ < d- < d+ + 2 margin  in squared distances. Source: FaceNet (arXiv 1503.03832), section 3.2.
    """
    gap = (positive[:, None] - similarities).detach()
    return negatives & (gap > 0) & (gap < margin)


def mean_where(values: Tensor, mask: Tensor) -> Tensor:
    """(r,): the mean of each row's values where the mask holds, 0 where it holds nowhere."""
    return values.masked_fill(~mask, 0.0).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
