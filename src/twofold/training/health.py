"""Is the representation alive? Four label-free measures of embeddings, and what a collapse looks like in them.

All raise NotFiniteError for embeddings that are not finite.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from twofold.models.finite import require_finite

COLLAPSED_STD = 0.1
COLLAPSED_RANK = 1.5


def spread(z: Float[Tensor, "n d"]) -> float:
    """sqrt(d) times the mean over dimensions of the standard deviation of the unit rows: 0 collapsed, 1 evenly spread.

    Source: the collapse measure of SimSiam (arXiv 2011.10566, section 4.1).
    """
    unit = _unit(z)
    return float(unit.std(dim=0, correction=0).mean() * z.shape[1] ** 0.5)


def effective_rank(h: Float[Tensor, "n d"]) -> float:
    """exp of the entropy of the normalised singular values of the centred rows: 1 to min(n, d).

    p_k = s_k / sum(s); rank = exp(-sum p_k log p_k). Rows that all coincide have rank 1.
    Source: Roy and Vetterli, EUSIPCO 2007; used as RankMe for representations (arXiv 2210.02885, without centring).
    """
    h = _exact(h)
    singular = torch.linalg.svdvals(h - h.mean(dim=0))
    if float(singular.sum()) <= 1e-9 * max(1.0, float(h.norm())):
        return 1.0
    share = singular / singular.sum()
    return float(torch.exp(torch.special.entr(share).sum()))


def alignment(z_a: Float[Tensor, "n d"], z_b: Float[Tensor, "n d"]) -> float:
    """Mean squared distance of positive pairs on the unit sphere: mean |a_i - b_i|^2, 0 (best) to 4.

    Source: Wang and Isola, arXiv 2005.10242, section 4.1.1 (alpha = 2).
    """
    a, b = _unit(z_a), _unit(z_b)
    return float((a - b).square().sum(dim=1).mean())


def uniformity(z: Float[Tensor, "n d"]) -> float:
    """log mean exp(-2 |x - y|^2) over all pairs of unit rows: 0 collapsed, -4 at best.

    Source: Wang and Isola, arXiv 2005.10242, section 4.1.2 (t = 2). Needs at least two rows.
    """
    return float(torch.pdist(_unit(z)).square().mul(-2).exp().mean().log())


def health(h: Float[Tensor, "m d"], z_a: Float[Tensor, "n p"], z_b: Float[Tensor, "n p"]) -> dict[str, float]:
    """The four measures under the names that metrics.jsonl uses. `h` holds both views' rows, m = 2n."""
    z_a, z_b = z_a.cpu(), z_b.cpu()
    z = torch.cat([z_a, z_b])
    return {
        "z_std": spread(z),
        "h_effective_rank": effective_rank(h),
        "z_effective_rank": effective_rank(z),
        "alignment": alignment(z_a, z_b),
        "uniformity": uniformity(z),
    }


def collapse_warning(measures: dict[str, float]) -> str | None:
    """A sentence when the embeddings have collapsed, else None."""
    if measures["z_std"] >= COLLAPSED_STD and measures["h_effective_rank"] >= COLLAPSED_RANK:
        return None
    return (
        f"the representation has collapsed: spread of z {measures['z_std']:.3f} (alive: above {COLLAPSED_STD}), "
        f"effective rank of h {measures['h_effective_rank']:.1f} (alive: above {COLLAPSED_RANK}). "
        "A lower --base-lr or stronger views usually cure it."
    )


def _unit(z: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    return functional.normalize(_exact(z), dim=1)


def _exact(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """In float64, on the CPU: Apple's GPU has none."""
    rows = rows.cpu()
    require_finite(rows)
    return rows.double()
