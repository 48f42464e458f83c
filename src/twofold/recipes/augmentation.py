"""One augmentation of a policy, as data."""

from dataclasses import dataclass

from twofold.errors import require, require_choice
from twofold.recipes.kinds import check_kinds

OPS: dict[str, int] = {  # name -> how many numbers its range holds
    "crop": 2,  # area fraction: low, high
    "flip": 0,
    "jitter": 4,  # brightness, contrast, saturation: factor in [max(0, 1 - x), 1 + x]; hue: shift in [-x, x] turns
    "grayscale": 0,
    "blur": 2,  # sigma in pixels: low, high
    "cutout": 2,  # area fraction of the erased square: low, high
    "sobel": 0,
    "noise": 2,  # standard deviation in units of the [0, 1] range: low, high
    "rotate": 2,  # quarter turns: lowest, highest, both included
    "solarise": 2,  # threshold in [0, 1]: low, high
}

BRANCHES = ("each", "shared", "b")


@dataclass(frozen=True, kw_only=True)
class Op:
    """One augmentation of a policy: applied to an image with probability `prob`, its parameters drawn from `range`.

    `branch` says on which of the two views: drawn for `each` by itself, drawn once and `shared`, or on view `b` alone.
    """

    name: str
    prob: float = 1.0
    range: tuple[float, ...] = ()
    branch: str = "each"

    def __post_init__(self) -> None:
        check_kinds(self)
        require_choice("op", self.name, tuple(OPS))
        require_choice("branch", self.branch, BRANCHES)
        _require(0.0 <= self.prob <= 1.0, "prob", self.prob, f"a probability in [0, 1] (op '{self.name}')")
        count = OPS[self.name]
        _require(len(self.range) == count, "range", self.range, f"{count} numbers for the op '{self.name}'")
        if count == 2:
            _require(self.range[0] <= self.range[1], "range", self.range, f"low, high in order (op '{self.name}')")
        if self.name in ("crop", "cutout"):
            _require(0 < self.range[0] <= self.range[1] <= 1, "range", self.range, f"in (0, 1] (op '{self.name}')")
        elif self.name == "jitter":
            _require(min(self.range) >= 0 and self.range[3] <= 0.5, "range", self.range, ">= 0, and hue <= 0.5")
        elif self.name == "rotate":
            _require(all(v == int(v) for v in self.range), "range", self.range, "whole quarter turns")
        elif count == 2:
            _require(self.range[0] >= 0, "range", self.range, f">= 0 (op '{self.name}')")


def _require(rule_holds: bool, name: str, value: object, rule: str) -> None:
    require(rule_holds, name, value, rule, fix="Change it in the list of ops.")
