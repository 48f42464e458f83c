"""What every format can do: be written into a folder, and be read from there as its users read it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from twofold.runs.loaded import Loaded

Reader = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]


@dataclass(frozen=True)
class Format:
    """`write(loaded, classifier, folder)` and `read(folder, loaded)`, both of which raise TwofoldError where the format
    lacks such an encoder or a package is missing.

    A reader maps images (n, H, W, c) uint8 where the format `takes_pixels`, else views (n, c, s, s) float32 in [0, 1],
    to h (n, d) and, where there is a classifier, to a score of each class (n, k).
    """

    takes_pixels: bool
    write: Callable[[Loaded, nn.Linear | None, Path], None]
    read: Callable[[Path, Loaded], Reader]


def reader(module: Callable[[Tensor], Tensor], classifier: nn.Module | None = None) -> Reader:
    """From functions of tensors, images -> h -> scores, to one of arrays, without gradients."""

    def run(images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        with torch.no_grad():
            h = module(torch.from_numpy(images)).float()
            return h.numpy(), classifier(h).numpy() if isinstance(classifier, nn.Linear) else None

    return run
