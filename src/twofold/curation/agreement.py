"""Whether two ways to compute embeddings agree: on the numbers, on who is near whom, and on the class that follows."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from twofold.curation.nearest import nearest_others
from twofold.errors import TwofoldError
from twofold.evaluation.knn import unit

MOST_DIFFERENCE = 0.02  # of the root mean square of h; rounding views to 8 bits alone gives some 0.005
LEAST_SAME = 0.99
_TIE = 1e-3  # of cosines
_VOTERS = 5


@dataclass(frozen=True)
class Agreement:
    """How two embeddings of the same images differ."""

    images: int
    largest_difference: float  # of any number, in root mean squares of h
    same_neighbour: float  # share of images, in [0, 1]; a neighbour as near as the other within 0.001 is the same
    same_top1: float | None  # share of images that get the same class; None: there is no classifier and no labels

    def require(self, what: str) -> None:
        """Raises TwofoldError, which calls the second way `what`, where they do not agree."""
        reasons = []
        if not self.largest_difference <= MOST_DIFFERENCE:
            reasons.append(f"numbers differ by up to {self.largest_difference:.3g} of their size")
        if self.same_neighbour < LEAST_SAME:
            reasons.append(f"only {self.same_neighbour:.1%} have the same nearest neighbour")
        if self.same_top1 is not None and self.same_top1 < LEAST_SAME:
            reasons.append(f"only {self.same_top1:.1%} get the same class")
        if reasons:
            raise TwofoldError(
                f"{what} does not agree with the encoder on {self.images} of your images: {', '.join(reasons)}; at "
                f"most {MOST_DIFFERENCE} and at least {LEAST_SAME:.0%} are needed. Nothing was written. Choose another "
                "--to."
            )


def agreement(
    h: Float32[np.ndarray, "n d"],
    other: Float32[np.ndarray, "n d"],
    *,
    classes: tuple[np.ndarray, np.ndarray] | None,
) -> Agreement:
    """Compare two embeddings; `classes` are those that a classifier gives for each, where there is one."""
    size = float(np.sqrt(np.mean(np.square(h, dtype=np.float64)))) or 1.0
    top1 = None if classes is None else float(np.mean(classes[0] == classes[1]))
    return Agreement(len(h), float(np.abs(h - other).max()) / size, _same_neighbours(h, other), top1)


def voted(h: Float32[np.ndarray, "n d"], ids: np.ndarray) -> np.ndarray:
    """The class that most of an image's 5 nearest others have; of equals the lower one."""
    near = ids[nearest_others(h, _VOTERS).rows]
    return np.array([np.bincount(row).argmax() for row in near])


def _same_neighbours(h: np.ndarray, other: np.ndarray) -> float:
    if len(h) < 2:
        return 1.0
    first, second = nearest_others(h, 1), nearest_others(other, 1)
    directions = unit(h).numpy()
    chosen = (directions * directions[second.rows[:, 0]]).sum(1)
    return float(np.mean(chosen >= first.cosines[:, 0] - _TIE))
