"""What every format can do: be written into a folder, and be read from there as its users read it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from twofold.runs.loaded import Loaded

Reader = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Format:
    """`write(loaded, classifier, folder)` and `read(folder, loaded)`, both of which raise TwofoldError where the format
    lacks such an encoder or a package is missing.

    A reader maps images (n, H, W, c) uint8 where the format `takes_pixels`, else views (n, c, s, s) float32 in [0, 1],
    to h (n, d).
    """

    takes_pixels: bool
    write: Callable[[Loaded, nn.Linear | None, Path], None]
    read: Callable[[Path, Loaded], Reader]


def reader(module: Callable[[Tensor], Tensor]) -> Reader:
    """From a function of tensors to one of arrays, without gradients."""

    def run(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return module(torch.from_numpy(images)).float().numpy()

    return run
