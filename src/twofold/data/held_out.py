"""Images that pretraining never sees, on which the contrastive loss is watched."""

from dataclasses import replace

import numpy as np
from jaxtyping import Int64

from twofold.data.image_set import ImageSet
from twofold.data.splits import cut_fraction, cut_groups

_USUAL, _FEWEST = 0.02, 32  # share of train, and images: the loss of fewer says little


def held_out_rows(images: ImageSet) -> Int64[np.ndarray, " k"]:
    """The rows of the validation images, sorted; also where these serve as the test split."""
    return images.rows("test" if images.test_from == "validation" else "validation")


def hold_out(images: ImageSet, fraction: float | None, seed: int) -> ImageSet:
    """The set with a share of train as its validation images, where the data have none of their own.

    `fraction` None: 2 %, or none where that is under 32 images. No group is divided. The cut is a function of the seed
    and of the paths; the fingerprint stays, which is that of the data.
    """
    train = images.rows("train")
    if fraction is None:
        fraction = _USUAL if _USUAL * len(train) >= _FEWEST else 0.0
    if len(held_out_rows(images)) or fraction == 0.0 or len(train) < 2:
        return images
    keys = [images.paths[row] for row in train]
    if images.groups:
        _, cut = cut_groups(keys, [images.groups[row] for row in train], fraction, seed)
    else:
        _, cut = cut_fraction(keys, fraction, seed)
    splits = list(images.splits)
    for row in train[cut]:
        splits[row] = "validation"
    return replace(images, splits=splits)
