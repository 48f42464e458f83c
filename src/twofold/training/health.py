"""Is the representation alive, and is anything learnt? Label-free measures of embeddings, and what to warn of.

All raise NotFiniteError for embeddings that are not finite.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from twofold.recipes.loss import learnt_accuracy
from twofold.training.spectrum import effective_rank, exact_rows

FEWEST_STEPS = 20  # before it, what was drawn and the first steps decide what is measured
COLLAPSED_STD = 0.1
COLLAPSED_RANK = 1.5
_NEAR_CHANCE = 0.99  # of the loss when all similarities are equal
_LOW_RANK = 0.05  # of the rank that z can have


def spread(z: Float[Tensor, "n d"]) -> float:
    """sqrt(d) times the mean over dimensions of the standard deviation of the unit rows: 0 collapsed, 1 evenly spread.

    Source: the collapse measure of SimSiam (arXiv 2011.10566, section 4.1).
    """
    unit = _unit(z)
    return float(unit.std(dim=0, correction=0).mean() * z.shape[1] ** 0.5)


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
    """The measures under the names that metrics.jsonl uses. `h` holds both views' rows, m = 2n.

    z_rank_share = z_effective_rank / min(p, 2n - 1), the highest rank that centred rows can have.
    """
    z_a, z_b = z_a.cpu(), z_b.cpu()
    z = torch.cat([z_a, z_b])
    rank = effective_rank(z)
    return {
        "z_std": spread(z),
        "h_effective_rank": effective_rank(h),
        "z_effective_rank": rank,
        "z_rank_share": rank / max(1, min(z.shape[1], len(z) - 1)),
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


def learning_warnings(measures: Mapping[str, float]) -> dict[str, str]:
    """Name -> a sentence for each sign that little is learnt, of those measures that are there; {} where all is well.

    "loss": `loss_share`, the loss over its value when all similarities are equal, is 0.99 or more. "pairs":
    `pair_accuracy` is below `learnt_accuracy(1 / pair_chance)`. "rank": `z_rank_share`, the effective rank of z over
    the highest that it can have, is below 0.05.
    """
    found: dict[str, str] = {}
    if (share := measures.get("loss_share")) is not None and share >= _NEAR_CHANCE:
        found["loss"] = (
            f"the loss is {share:.1%} of its value by chance (learning: below {_NEAR_CHANCE:.0%}). Another --base-lr, "
            "weaker views or a lower --temperature may help."
        )
    accuracy, chance = measures.get("pair_accuracy"), measures.get("pair_chance")
    if accuracy is not None and chance and accuracy < (needed := learnt_accuracy(1 / chance)):
        found["pairs"] = (
            f"{accuracy:.1%} of positive pairs are recognised, by chance {chance:.1%} (learning: {needed:.1%}). "
            "A lower --base-lr, weaker views or more epochs may help."
        )
    if (rank := measures.get("z_rank_share")) is not None and rank < _LOW_RANK:
        found["rank"] = (
            f"z uses {rank:.1%} of its dimensions, by effective rank (usual: above {_LOW_RANK:.0%}): most of z is "
            "redundant. A larger batch, stronger views or a lower --temperature may help."
        )
    return found


def _unit(z: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    return functional.normalize(exact_rows(z), dim=1)
