"""Images of any number of channels as people see them: in red, green and blue."""

import numpy as np
from jaxtyping import Shaped


def to_rgb(pixels: Shaped[np.ndarray, "*place c"]) -> Shaped[np.ndarray, "*place 3"]:
    """One channel three times; of two the second twice; of more the first three."""
    c = pixels.shape[-1]
    return pixels if c == 3 else pixels[..., [0, min(1, c - 1), min(2, c - 1)]]
