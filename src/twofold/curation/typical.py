"""Which images to label first, without any label: TypiClust and ProbCover, both defined on SimCLR's features.

Legend: n images, d features, budget b.
"""

import numpy as np
from jaxtyping import Float32, Int64

from twofold.curation.nearest import Neighbours, nearest_others
from twofold.evaluation.knn import unit

_MOST_CLUSTERS = 500
_MANY = 20_000  # images from which on clusters are found in mini-batches
_TYPICAL_OF = 20  # neighbours that make an image typical
_SMALLEST = 5  # images: smaller clusters are taken last


def pick_typical(
    h: Float32[np.ndarray, "n d"], count: int, *, taken: Int64[np.ndarray, " t"] | None = None, seed: int = 0
) -> Int64[np.ndarray, " b"]:
    """TypiClust (Hacohen et al. 2022): the most typical image of each of `count` clusters without a label yet.

    Clusters are k-means of h / |h| with K = min(taken + count, 500). Typicality is 1 over the mean distance to the 20
    nearest of the cluster. Larger clusters, and those with fewer taken images, come first. Rows are in that order.
    """
    taken = np.zeros(0, np.int64) if taken is None else taken
    count = min(count, len(h) - len(taken))
    x = unit(np.asarray(h)).numpy()
    clusters = _clusters(x, min(len(taken) + count, _MOST_CLUSTERS, len(h)), seed)
    sizes = np.bincount(clusters)
    used = np.bincount(clusters[taken], minlength=len(sizes))
    free = np.ones(len(h), bool)
    free[taken] = False
    queues = {}
    for cluster in range(len(sizes)):
        rows = np.flatnonzero(clusters == cluster)
        order = rows[np.argsort(-_typicality(x[rows]), kind="stable")]
        queues[cluster] = order[free[order]].tolist()
    picked: list[int] = []
    while len(picked) < count:
        open_ = [cluster for cluster, queue in queues.items() if queue]
        best = min(open_, key=lambda c: (sizes[c] < _SMALLEST, used[c], -sizes[c], c))
        picked.append(queues[best].pop(0))
        used[best] += 1
    return np.array(picked, np.int64)


def pick_cover(
    near: Neighbours, count: int, *, radius: float | None = None, taken: Int64[np.ndarray, " t"] | None = None
) -> Int64[np.ndarray, " b"]:
    """ProbCover (Yehuda et al. 2022): greedily the image whose ball covers most images that no ball covers yet.

    A ball holds the neighbours (of those in `near`) with a cosine of at least 1 - radius. The default radius is the
    median distance to the middle one of them. What is left when all are covered is picked by the size of its ball.
    """
    n, k = near.rows.shape
    taken = np.zeros(0, np.int64) if taken is None else taken
    count = min(count, n - len(taken))
    if radius is None:
        radius = float(np.median(1 - np.asarray(near.cosines[:, k // 2]))) if k else 0.0
    inside = np.asarray(near.cosines) >= 1 - radius
    balls = [np.append(near.rows[row][inside[row]], row) for row in range(n)]
    holders: list[list[int]] = [[] for _ in range(n)]
    for row, ball in enumerate(balls):
        for member in ball.tolist():
            holders[member].append(row)
    gain = np.array([len(ball) for ball in balls], np.float64)
    tie = gain / (n + 1.0)  # among equal gains the larger ball
    covered = np.zeros(n, bool)

    def take(row: int) -> None:
        for member in balls[row].tolist():
            if not covered[member]:
                covered[member] = True
                gain[holders[member]] -= 1
        gain[row] = -np.inf

    for row in taken.tolist():
        take(row)
    picked = []
    for _ in range(count):
        row = int(np.argmax(gain + tie))
        picked.append(row)
        take(row)
    return np.array(picked, np.int64)


def _clusters(x: Float32[np.ndarray, "n d"], count: int, seed: int) -> Int64[np.ndarray, " n"]:
    from sklearn.cluster import KMeans, MiniBatchKMeans  # a second, which what finds no clusters need not wait for

    if len(x) > _MANY:
        found = MiniBatchKMeans(count, random_state=seed, n_init=1, batch_size=4096, max_iter=20)
    else:
        found = KMeans(count, random_state=seed, n_init=1)
    return found.fit_predict(x).astype(np.int64)


def _typicality(x: Float32[np.ndarray, "m d"]) -> Float32[np.ndarray, " m"]:
    if len(x) < 2:
        return np.ones(len(x), np.float32)
    cosines = nearest_others(x, min(_TYPICAL_OF, len(x) - 1)).cosines
    distances = np.sqrt(np.maximum(2 - 2 * cosines, 0))
    return (1 / (distances.mean(1) + 1e-5)).astype(np.float32)
