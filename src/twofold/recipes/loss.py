"""Which loss, and its numbers: one leaf of the recipe."""

import math
from dataclasses import dataclass
from typing import Annotated

from twofold.errors import TwofoldError, require, require_choice
from twofold.recipes.help import Help
from twofold.recipes.kinds import check_kinds

LOSSES = ("nt-xent", "nt-logistic", "triplet", "dcl")
_WITH_SEMI_HARD = ("nt-logistic", "triplet")


@dataclass(frozen=True, kw_only=True)
class LossRecipe:
    """What z is trained for (paper, equation 1 and table 2)."""

    loss: Annotated[str, Help("nt-xent, nt-logistic, triplet or dcl (nt-xent without the positive below the line)")] = (
        "nt-xent"
    )
    temperature: Annotated[float, Help("temperature of all losses but triplet, which has none")] = 0.1
    margin: Annotated[
        float,
        Help("by how much triplet wants the positive more similar than the negatives; also the reach of semi-hard"),
    ] = 0.8
    semi_hard: Annotated[
        bool, Help("nt-logistic and triplet: only negatives farther than the positive, by less than the margin")
    ] = False
    normalize: Annotated[bool, Help("z to length one before similarities are taken (no: plain inner products)")] = True
    loss_factor: Annotated[
        float, Help("multiplies the gradient of the loss, a mean over views; 2 gives the official code's step")
    ] = 1.0

    def __post_init__(self) -> None:
        check_kinds(self)
        require_choice("loss", self.loss, LOSSES)
        require(0 < self.temperature < math.inf, "temperature", self.temperature, "above 0 (0.05 to 1 are usual)")
        require(0 <= self.margin < math.inf, "margin", self.margin, "at least 0")
        require(0 < self.loss_factor < math.inf, "loss_factor", self.loss_factor, "above 0 (1, or 2 for the official)")
        if self.semi_hard and self.loss not in _WITH_SEMI_HARD:
            raise TwofoldError(
                f"semi_hard is True, but the loss '{self.loss}' weighs all negatives by itself. Choose --loss "
                f"{' or '.join(_WITH_SEMI_HARD)}, or --semi-hard False."
            )
        if self.semi_hard:
            require(self.margin > 0, "margin", self.margin, "above 0 with semi_hard: no negative is inside it")

    def chance(self, batch_size: int) -> float | None:
        """The value when all similarities are equal; None where that depends on what they are equal to.

        ln(2B - 1) for NT-Xent and ln(2B - 2) for DCL, whose positive is no candidate.
        """
        candidates = {"nt-xent": 2 * batch_size - 1, "dcl": 2 * batch_size - 2}
        return math.log(candidates[self.loss]) if self.loss in candidates else None


def contrast_chance(batch_size: int) -> float:
    """Contrastive accuracy by guessing, in (0, 1]: a view's candidates are the B second views, its positive among them.

    Unlike in the loss, views of the same side are no candidates (`twofold.losses.contrast_accuracy`).
    """
    return 1 / batch_size


def learnt_accuracy(candidates: int | float) -> float:
    """The contrastive accuracy from which on something is learnt: five times chance, with B = `candidates`.

    min(5 / B, (1 + 1 / B) / 2): among fewer than nine candidates, half the way from chance to 1.
    """
    return min(5 / candidates, (1 + 1 / candidates) / 2)
