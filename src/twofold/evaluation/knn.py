"""Weighted nearest neighbours by cosine: what an embedding knows without fitting anything."""

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, Integer
from torch import Tensor

from twofold.models.finite import require_finite

BLOCK = 1024  # queries at a time: bounds the memory at BLOCK * n numbers


def neighbours(
    queries: Float32[np.ndarray, "m d"], bank: Float32[np.ndarray, "n d"], count: int
) -> tuple[Float32[np.ndarray, "m k"], Int64[np.ndarray, "m k"]]:
    """The `count` rows of `bank` nearest to each query: (cosines in [-1, 1], row numbers), nearest first."""
    a, b = unit(queries), unit(bank)
    found = [torch.topk(block @ b.T, count, dim=1) for block in torch.split(a, BLOCK)]
    similarity = torch.cat([top.values for top in found]) if found else torch.zeros(0, count)
    rows = torch.cat([top.indices for top in found]) if found else torch.zeros(0, count, dtype=torch.int64)
    return similarity.numpy(), rows.numpy()


def predict_knn(
    queries: Float32[np.ndarray, "m d"],
    bank: Float32[np.ndarray, "n d"],
    labels: Integer[np.ndarray, " n"],
    *,
    classes: int,
    k: int,
    temperature: float = 0.1,
) -> Int64[np.ndarray, " m"]:
    """Class with the most of `knn_votes`; ties go to the lower class."""
    return knn_votes(queries, bank, labels, classes=classes, k=k, temperature=temperature).argmax(1).astype(np.int64)


def knn_votes(
    queries: Float32[np.ndarray, "m d"],
    bank: Float32[np.ndarray, "n d"],
    labels: Integer[np.ndarray, " n"],
    *,
    classes: int,
    k: int,
    temperature: float = 0.1,
) -> Float64[np.ndarray, "m classes"]:
    """Votes of the k nearest by cosine for their classes; each weighs exp((similarity - 1) / temperature).

    `k` above the number of rows means all of them (Wu et al. 2018, section 3.4).
    """
    similarity, rows = neighbours(queries, bank, min(k, len(bank)))
    weights = np.exp((similarity.astype(np.float64) - 1.0) / temperature)  # minus 1: no vote above exp(0)
    votes = np.zeros((len(queries), classes))
    np.add.at(votes, (np.arange(len(queries))[:, None], labels[rows]), weights)
    return votes


def neighbour_count(labels: int, classes: int) -> int:
    """k = min(20, labels per class), at least 1."""
    return max(1, min(20, labels // classes))


def unit(x: Float32[np.ndarray, "n d"]) -> Float32[Tensor, "n d"]:
    """Each row divided by its length; a row of zeros stays. Raises NotFiniteError for numbers that are not finite."""
    require_finite(x)
    return torch.nn.functional.normalize(torch.from_numpy(x), dim=1)
