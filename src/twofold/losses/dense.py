"""NT-Xent with the whole matrix of similarities in memory: the definition, and the standard for faster versions.

Legend: n images, p = dim of z.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from twofold.errors import TwofoldError

_TINY = 1e-6  # rows shorter than this are not brought to length one: their gradient would explode


def nt_xent(
    z_a: Float[Tensor, "n p"], z_b: Float[Tensor, "n p"], *, temperature: float, normalize: bool = True
) -> Float[Tensor, ""]:
    """Normalised temperature-scaled cross-entropy: can each view find its twin among all others?

    With z = [z_a; z_b] of 2n rows, j(i) the twin of i and s(i, k) = <z_i, z_k> / (|z_i| |z_k|):

        loss = 1/2n  sum_i  -log( exp(s(i, j(i)) / t) / sum_{k != i} exp(s(i, k) / t) )

    z_a, z_b: (n, p), row i of both from image i. Returns the mean over the 2n anchors in nats: ln(2n - 1) when all
    similarities are equal, 0 when n = 1. The official code returns the sum of the two means over z_a and z_b, which is
    twice this. normalize=False takes plain inner products. Computed in float32 for shorter types and in float64 for
    float64, also under autocast. Raises TwofoldError for unequal shapes, no rows, or a temperature of 0 or less.
    Source: paper, equation 1 and Algorithm 1; reference 2.
    """
    _require_pair(z_a, z_b)
    if not temperature > 0:
        raise TwofoldError(f"temperature is {temperature!r}, but it must be above 0. Change --temperature.")
    with torch.autocast(z_a.device.type, enabled=False):
        z = _prepare(torch.cat([z_a, z_b]), normalize)  # (2n, p)
        logits = _hide_self((z / temperature) @ z.T)  # (2n, 2n)
        return functional.cross_entropy(logits, _twins(len(z_a), z.device))


def contrast_accuracy(
    z_a: Float[Tensor, "n p"], z_b: Float[Tensor, "n p"], *, normalize: bool = True
) -> Float[Tensor, ""]:
    """Share of the rows of z_a whose most similar row of z_b is their own twin: in [0, 1], chance 1/n.

    Raises TwofoldError for unequal shapes. Source: reference 2, `contrast_acc`.
    """
    _require_pair(z_a, z_b)
    with torch.autocast(z_a.device.type, enabled=False):
        similarity = _prepare(z_a, normalize) @ _prepare(z_b, normalize).T  # (n, n)
        found = similarity.argmax(dim=1) == torch.arange(len(z_a), device=z_a.device)
        return found.to(similarity.dtype).mean()


def _prepare(z: Tensor, normalize: bool) -> Tensor:
    z = z.to(torch.promote_types(z.dtype, torch.float32))
    return functional.normalize(z, dim=1, eps=_TINY) if normalize else z


def _hide_self(logits: Tensor) -> Tensor:
    return logits.fill_diagonal_(-torch.inf)  # in place: the matrix is the largest thing here


def _twins(n: int, device: torch.device) -> Tensor:
    """(2n,): the row of each anchor's twin, i + n in the first half and i - n in the second."""
    return torch.arange(2 * n, device=device).roll(n)


def _require_pair(z_a: Tensor, z_b: Tensor) -> None:
    if z_a.shape != z_b.shape or z_a.ndim != 2 or len(z_a) == 0:
        raise TwofoldError(
            f"z_a is {tuple(z_a.shape)} and z_b is {tuple(z_b.shape)}, but both must be (n, p) with the same n >= 1 "
            "and p. Give row i of both from image i."
        )
