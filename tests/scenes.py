"""Made-up images with the statistics that copies are found by."""

import numpy as np
from PIL import Image

from twofold.curation.thumbs import squash


def scene(seed: int) -> np.ndarray:
    """A smooth random image of 48 x 64 px with edges: two scales of noise."""
    draw = np.random.default_rng(seed)
    coarse, fine = (
        np.asarray(
            Image.fromarray(draw.integers(0, 256, (side, side, 3)).astype(np.uint8)).resize((64, 48), Image.BICUBIC),
            np.float32,
        )
        for side in (4, 12)
    )
    return (0.6 * coarse + 0.4 * fine).astype(np.uint8)


def thumbs(images: list[np.ndarray]) -> np.ndarray:
    """Each image squashed, as copies are compared."""
    return np.stack([squash(np.ascontiguousarray(image)) for image in images])


def scene_thumbs(count: int) -> np.ndarray:
    """`count` different scenes."""
    return thumbs([scene(seed) for seed in range(count)])
