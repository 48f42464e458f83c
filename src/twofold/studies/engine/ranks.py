"""How many directions the h of a cell uses, by four measures beside each other; no label is looked at."""

import math

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from twofold.data import ImageSet
from twofold.data.splits import permutation
from twofold.runs.encoder_file import Loaded
from twofold.training.spectrum import alpha_req, effective_rank, lidar, rank_me
from twofold.training.step import make_views
from twofold.views import build_policy, sample_views

RANKS = ("effective_rank", "rank_me", "lidar", "alpha_req")
_OBJECTS, _PAIRS = 1000, 5  # images, and pairs of views of each, that LiDAR compares
_BATCH = 250
_STEP = 2**41  # its views are drawn as those of steps that no run reaches


def rank_measures(loaded: Loaded, h: Float32[np.ndarray, "n d"], images: ImageSet, *, seed: int) -> dict[str, float]:
    """effective_rank, rank_me and alpha_req of the rows of h; lidar of 10 views of 1,000 images of train.

    The images and their views are drawn by `seed`, the views by the cell's own policy. What has no value is left out.
    """
    rows = torch.from_numpy(h)
    found = {
        "effective_rank": effective_rank(rows),
        "rank_me": rank_me(rows),
        "lidar": lidar(_views_of_each(loaded, images, seed)),
        "alpha_req": alpha_req(rows),
    }
    return {name: value for name, value in found.items() if not math.isnan(value)}


def _views_of_each(loaded: Loaded, images: ImageSet, seed: int) -> Float[Tensor, "n q d"]:
    """h of several views of each image."""
    policy, train = build_policy(loaded.recipe.views), images.rows("train")
    chosen = train[permutation(len(train), seed)[:_OBJECTS]]
    parts = []
    for start in range(0, len(chosen), _BATCH):
        batch = images.read(chosen[start : start + _BATCH])
        views: list[Tensor] = []
        for pair in range(_PAIRS):
            draws = sample_views(policy, len(batch.images), seed=seed, step=_STEP + start * _PAIRS + pair)
            with torch.inference_mode(), loaded.hardware.autocast():
                h = loaded.encoder(make_views(batch, draws, loaded.recipe.views, loaded.hardware)).float().cpu()
            views += h.chunk(2)
        parts.append(torch.stack(views, dim=1))
    return torch.cat(parts)
