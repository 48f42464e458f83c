"""Copies: pairs of images, how alike they are, and the groups that they form at a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from twofold.curation.candidates import candidates
from twofold.curation.likeness import likeness
from twofold.curation.nearest import Neighbours
from twofold.curation.tables import write_csv
from twofold.errors import require

COPY = 0.96  # likeness from which two images count as copies: docs/clean.md has what it finds
_FLOOR = 0.5  # pairs below are not kept
_NEAREST = 10  # images by their embeddings
_UNUSUAL = 5  # times nearer than the nearest image usually is


@dataclass(frozen=True, eq=False, kw_only=True)
class Duplicates:
    """Pairs of alike images, the likest first, and what follows from a threshold."""

    pairs: Int64[np.ndarray, "p 2"]  # rows, the lower first
    likeness: Float32[np.ndarray, " p"]  # in [-1, 1]; 1: the same pixels
    threshold: float
    paths: Sequence[str]

    @cached_property
    def groups(self) -> list[list[int]]:
        """Rows that pairs from the threshold on connect, the largest group first."""
        from scipy.sparse import coo_matrix  # these two take a while, which a run without groups need not wait for
        from scipy.sparse.csgraph import connected_components

        linked = self.pairs[self.likeness >= self.threshold]
        n = len(self.paths)
        _, names = connected_components(coo_matrix((np.ones(len(linked)), (linked[:, 0], linked[:, 1])), (n, n)), False)
        members: dict[int, list[int]] = {}
        for row in np.unique(linked).tolist():
            members.setdefault(int(names[row]), []).append(row)
        return sorted(members.values(), key=lambda group: (-len(group), group))

    def rethreshold(self, threshold: float) -> "Duplicates":
        """The same pairs at another threshold in [0.5, 1]. Raises TwofoldError for others: such pairs are not kept."""
        require(_FLOOR <= threshold <= 1, "threshold", threshold, f"in [{_FLOOR}, 1]", fix="Give another number.")
        return replace(self, threshold=threshold)

    def borderline(self, count: int = 20) -> list[tuple[int, int, float]]:
        """The (row, row, likeness) nearest to the threshold on either side, the likest first."""
        near = np.sort(np.argsort(np.abs(self.likeness - self.threshold), kind="stable")[:count])
        return [(int(i), int(j), float(self.likeness[p])) for p in near for i, j in [self.pairs[p]]]

    def extra(self) -> list[int]:
        """The rows that may go: all of each group but its first."""
        return sorted(row for group in self.groups for row in group[1:])

    def to_csv(self, path: Path | str) -> Path:
        """Write group, path of each image of a group. Raises TwofoldError as `write_csv` does."""
        rows = [(number, self.paths[row]) for number, group in enumerate(self.groups, start=1) for row in group]
        return write_csv(Path(path), {"group": [one[0] for one in rows], "path": [one[1] for one in rows]}, "path")


def find_copies(
    thumbs: UInt8[np.ndarray, "n s s 3"],
    paths: Sequence[str],
    *,
    near: Neighbours | None = None,
    threshold: float = COPY,
) -> Duplicates:
    """Images whose pixels are alike (`likeness`): re-saved, resized, mirrored and slightly cropped ones.

    Compared are the `candidates`, also by the embeddings' `near` where there are any.
    Raises TwofoldError for a threshold outside [0.5, 1].
    """
    require(_FLOOR <= threshold <= 1, "threshold", threshold, f"in [{_FLOOR}, 1]")
    pairs = candidates(thumbs, near)
    return _of_pairs(pairs, likeness(thumbs, pairs), threshold, paths)


def find_alike(near: Neighbours, paths: Sequence[str], *, threshold: float | None = None) -> Duplicates:
    """Images whose embeddings have a cosine from the threshold on, among each one's ten nearest.

    What an encoder takes for the same: also series of one scene. The default threshold is 1 - m / 5, m the median of
    1 - cosine to the nearest other image: what is near depends on the encoder. Raises TwofoldError for a threshold
    outside [0.5, 1].
    """
    if threshold is None:
        distances = 1 - np.asarray(near.cosines[:, :1])
        usual = float(np.median(distances)) if distances.size else 0.0
        threshold = max(_FLOOR, 1 - usual / _UNUSUAL)
    require(_FLOOR <= threshold <= 1, "threshold", threshold, f"in [{_FLOOR}, 1]")
    pairs, cosines = _once(near.first(_NEAREST))
    return _of_pairs(pairs, cosines, threshold, paths)


def _of_pairs(pairs: np.ndarray, alike: np.ndarray, threshold: float, paths: Sequence[str]) -> Duplicates:
    kept = np.flatnonzero(alike >= _FLOOR)
    order = kept[np.argsort(-alike[kept], kind="stable")]
    return Duplicates(pairs=pairs[order], likeness=alike[order], threshold=threshold, paths=paths)


def _once(near: Neighbours) -> tuple[Int64[np.ndarray, "p 2"], Float32[np.ndarray, " p"]]:
    """Every pair of different rows once, the lower row first, in order."""
    m, k = near.rows.shape
    own, other = np.repeat(np.arange(m), k), np.asarray(near.rows).ravel()
    n = max(m, int(other.max(initial=0)) + 1)
    low, high = np.minimum(own, other), np.maximum(own, other)
    names, first = np.unique(low * n + high, return_index=True)
    pairs = np.stack([names // n, names % n], 1)
    different = pairs[:, 0] != pairs[:, 1]
    return pairs[different], np.asarray(near.cosines).ravel()[first][different]
