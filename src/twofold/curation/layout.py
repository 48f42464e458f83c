"""A map: places in the plane at which images that are neighbours by the cosine of h are near each other.

Legend: n images, k neighbours of each, y (n, 2) the places.
"""

import numpy as np
import torch
from jaxtyping import Float32, Int64

from twofold.console import with_progress
from twofold.evaluation.knn import unit

NEIGHBOURS = 15
_EPOCHS = 200
_STRANGERS = 5  # drawn for each image in each epoch, which push it away
_MOST_STEP = 4.0  # of a gradient's number


def lay_out(
    h: Float32[np.ndarray, "n d"], neighbours: Int64[np.ndarray, "n k"], *, seed: int = 0, epochs: int = _EPOCHS
) -> Float32[np.ndarray, "n 2"]:
    """Places in [0, 1] x [0, 1], by a force-directed layout of the graph of neighbours (as LargeVis, UMAP).

    It starts at the two main axes of h. In each epoch neighbours i, j pull each other by 2 (y_i - y_j) / (1 + |.|²) and
    an image is pushed from 5 drawn ones by 2 (y_i - y_j) / ((0.01 + |.|²) (1 + |.|²)); steps shrink to 0. Time and
    memory grow with n k. The same seed gives the same map on one machine.
    """
    n, k = neighbours.shape
    if n < 3 or k == 0:
        return np.tile(np.linspace(0, 1, max(n, 1), dtype=np.float32)[:n, None], (1, 2))
    draw = torch.Generator().manual_seed(seed)
    y = _main_axes(h)
    i = torch.arange(n).repeat_interleave(k)
    j = torch.from_numpy(neighbours).reshape(-1)
    for epoch in with_progress(range(epochs), "Laying out the map", step=1, total=epochs):
        near = y[i] - y[j]
        pull = near * (2 / (1 + near.square().sum(1, keepdim=True)))
        move = torch.zeros_like(y).index_add_(0, i, -pull).index_add_(0, j, pull).div_(k)
        far = y[:, None] - y[torch.randint(n, (n, _STRANGERS), generator=draw)]
        square = far.square().sum(2, keepdim=True)
        move += (far * (2 / ((0.01 + square) * (1 + square)))).clamp_(-_MOST_STEP, _MOST_STEP).sum(1) / _STRANGERS
        y += (1 - epoch / epochs) * move.clamp_(-_MOST_STEP, _MOST_STEP)
    return _into_square(y)


def _main_axes(h: Float32[np.ndarray, "n d"]) -> torch.Tensor:
    directions = unit(h)
    centred = directions - directions.mean(0)
    _, axes = torch.linalg.eigh((centred.T @ centred).double())
    places = centred @ axes[:, -2:].flip(1).float()
    if places.shape[1] < 2:
        places = torch.cat([places, torch.zeros(len(places), 1)], dim=1)
    signs = torch.sign(places[places.abs().argmax(0), torch.arange(2)])
    return 10 * places * signs / places.abs().max().clamp(min=1e-12)


def _into_square(y: torch.Tensor) -> Float32[np.ndarray, "n 2"]:
    low = torch.quantile(y[:: max(1, len(y) // 100_000)], 0.001, dim=0)
    high = torch.quantile(y[:: max(1, len(y) // 100_000)], 0.999, dim=0)
    centre, extent = (low + high) / 2, (high - low).max().clamp(min=1e-6) * 1.04
    return ((y - centre) / extent + 0.5).clamp(0, 1).numpy()
