"""NT-Xent: dense where the matrix of similarities is small, tiled where it is not.

Legend: n images, p = dim of z, m anchors.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from twofold.losses.dense import nt_xent_dense
from twofold.losses.prepare import Anchors, anchor_range, require_pair
from twofold.losses.tiled import nt_xent_tiled

# Up to so many logits one product is faster than tiles. On a CPU: benchmarks/RESULTS.md. On a GPU (H200, p = 128, ms
# forward and backward, dense beside tiles of 4,096): n = 2,048 2.4, 2.9 with tiles of 2,048; 4,096 2.9, 3.0 in a
# quarter of the memory; 8,192 9.5, 6.5 in a sixteenth. docs/notebook.md, 2026-11-26.
_DENSE_LOGITS = 2**19  # 2 MiB in float32
_DENSE_LOGITS_OFF_CPU = 2**24  # 64 MiB
_CPU = torch.device("cpu")


def nt_xent(
    z_a: Float[Tensor, "n p"],
    z_b: Float[Tensor, "n p"],
    *,
    temperature: float,
    normalize: bool = True,
    anchors: Anchors | None = None,
) -> Float[Tensor, ""]:
    """Normalised temperature-scaled cross-entropy: can each view find its positive among all others?

    With z = [z_a; z_b] of 2n rows, j(i) the positive of i and s(i, k) = <z_i, z_k> / (|z_i| |z_k|):

        loss = 1/2n  sum_i  -log( exp(s(i, j(i)) / t) / sum_{k != i} exp(s(i, k) / t) )

    z_a, z_b: (n, p), row i of both from image i. Returns the mean over the 2n anchors in nats: ln(2n - 1) when all
    similarities are equal, 0 when n = 1. The official code returns the sum of the two means over z_a and z_b, which is
    twice this (reference 3.3). normalize=False takes plain inner products. Computed in float32 for shorter types and in
    float64 for float64, also under autocast. anchors=(start, stop) sums over the 2 (stop - start) views of those images
    alone, still against all others and over 2n: the parts of several processes add up to the loss. `nt_xent_version`
    tells whether the dense or the tiled computation runs; they agree to rounding.
    Raises TwofoldError for unequal shapes, no rows, or a temperature of 0 or less.
    Source: paper, equation 1 and Algorithm 1; reference 2.1.

    >>> z = torch.ones(4, 2)  # all alike: the loss is ln(2 * 4 - 1)
    >>> round(nt_xent(z, z, temperature=0.5).item(), 4)
    1.9459
    """
    require_pair(z_a, z_b)
    start, stop = anchor_range(anchors, len(z_a))
    if nt_xent_version(len(z_a), stop - start, z_a.device) == "dense":
        return nt_xent_dense(z_a, z_b, temperature=temperature, normalize=normalize, anchors=anchors)
    return nt_xent_tiled(z_a, z_b, temperature=temperature, normalize=normalize, anchors=anchors)


def nt_xent_version(n: int, anchor_images: int, device: torch.device = _CPU) -> str:
    """ "dense" or "tiled": which computation runs for n images, `anchor_images` of them anchors, on this device."""
    most = _DENSE_LOGITS if device.type == "cpu" else _DENSE_LOGITS_OFF_CPU
    return "dense" if 2 * anchor_images * 2 * n <= most else "tiled"
