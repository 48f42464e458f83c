"""Groups of like images, found without labels, each with its most typical images."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64
from sklearn.cluster import MiniBatchKMeans

from twofold.evaluation.knn import unit

_MOST = 30
_TYPICAL = 6


@dataclass(frozen=True, eq=False)
class Clusters:
    """Each image's cluster, and the rows that are nearest to each cluster's centre, nearest first."""

    ids: Int64[np.ndarray, " n"]
    typical: list[list[int]]


def find_clusters(h: Float32[np.ndarray, "n d"], *, seed: int = 0) -> Clusters:
    """k-means on directions of h with min(30, sqrt(n / 2)) centres, the largest cluster first."""
    directions = unit(h).numpy()
    count = max(1, min(_MOST, int(np.sqrt(len(h) / 2))))
    fitted = MiniBatchKMeans(count, random_state=seed, n_init=3, batch_size=4096).fit(directions)
    order = np.argsort(-np.bincount(fitted.labels_, minlength=count), kind="stable")
    ids = np.argsort(order)[fitted.labels_].astype(np.int64)
    centres = fitted.cluster_centers_[order]
    typical = []
    for number in range(count):
        own = np.flatnonzero(ids == number)
        nearness = directions[own] @ centres[number]
        typical.append(own[np.argsort(-nearness, kind="stable")[:_TYPICAL]].tolist())
    return Clusters(ids, typical)
