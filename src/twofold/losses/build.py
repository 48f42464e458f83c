"""The one place where a recipe's loss becomes a function."""

from collections.abc import Callable

import torch
from torch import Tensor

from twofold.losses.dcl import dcl
from twofold.losses.logistic import nt_logistic
from twofold.losses.nt_xent import nt_xent, nt_xent_version
from twofold.losses.pairwise import pairwise_version
from twofold.losses.prepare import Anchors
from twofold.losses.triplet import triplet
from twofold.recipes.loss import LossRecipe

Loss = Callable[[Tensor, Tensor, Anchors], Tensor]

_CPU = torch.device("cpu")


def build_loss(recipe: LossRecipe) -> Loss:
    """(z_a, z_b, anchors) -> the anchors' part of the recipe's loss, (): the parts of all processes add up to it."""
    t, normalize = recipe.temperature, recipe.normalize
    margin, semi_hard = recipe.margin, recipe.semi_hard
    losses: dict[str, Loss] = {
        "nt-xent": lambda a, b, anchors: nt_xent(a, b, temperature=t, normalize=normalize, anchors=anchors),
        "nt-logistic": lambda a, b, anchors: nt_logistic(
            a, b, temperature=t, semi_hard=semi_hard, margin=margin, normalize=normalize, anchors=anchors
        ),
        "triplet": lambda a, b, anchors: triplet(
            a, b, margin=margin, semi_hard=semi_hard, normalize=normalize, anchors=anchors
        ),
        "dcl": lambda a, b, anchors: dcl(a, b, temperature=t, normalize=normalize, anchors=anchors),
    }
    return losses[recipe.loss]


def loss_version(recipe: LossRecipe, n: int, anchor_images: int, device: torch.device = _CPU) -> str:
    """How the similarities of `anchor_images` of n images are held: "dense" as a whole, "tiled" or in "blocks"."""
    if recipe.loss == "nt-xent":
        return nt_xent_version(n, anchor_images, device)
    return pairwise_version(n, anchor_images)
