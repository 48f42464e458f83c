"""How an image becomes two views."""

import math
from dataclasses import dataclass
from typing import Annotated, Any

from twofold.errors import TwofoldError, require, require_choice
from twofold.recipes.augmentation import POLICY, Op
from twofold.recipes.help import Help
from twofold.recipes.kinds import check_kinds

POLICY_SETTINGS = (  # that a list of ops has no use for
    "strength",
    "colour",
    "crop_area",
    "flip_prob",
    "vertical_flip_prob",
    "rotate_degrees",
    "grayscale_prob",
    "jitter",
    "blur_prob",
)


@dataclass(frozen=True, kw_only=True)
class ViewsRecipe:
    """How an image becomes two views (paper, section 3 and appendix A)."""

    size_px: Annotated[int, Help("side of a view in pixels")] = 224
    policy: Annotated[str, Help("simclr (with blur, for 224 px) or small (no blur, for 32 px)")] = "simclr"
    colour: Annotated[
        str,
        Help(
            "what the policy's colour augmentations are: photos (jitter and grayscale, of 1 or 3 channels) or channels "
            "(gain, offset and gamma of each channel by itself, and a channel left out; where --channels is another)"
        ),
    ] = "photos"
    strength: Annotated[float, Help("colour strength s: jitter 0.8s 0.8s 0.8s 0.2s; of channels half of it")] = 1.0
    crop_area: Annotated[tuple[float, float], Help("share of the image that a crop covers: low, high")] = (0.08, 1.0)
    flip_prob: Annotated[float, Help("probability of a left-right flip")] = 0.5
    interpolation: Annotated[str, Help("resize by bilinear or bicubic, antialiased when it shrinks")] = "bicubic"
    vertical_flip_prob: Annotated[float, Help("probability of a top-bottom flip (--vertical-flip: 0.5)")] = 0.0
    rotate_degrees: Annotated[
        float, Help("every view turned by an angle drawn from -x to x degrees (180: any; 0: none)")
    ] = 0.0
    grayscale_prob: Annotated[float, Help("probability of grey instead of colour (--no-grayscale: 0)")] = 0.2
    jitter: Annotated[
        tuple[float, float, float, float] | None,
        Help("strengths of brightness, contrast, saturation and hue, in place of those of --strength (0 0 0 0: none)"),
    ] = None
    blur_prob: Annotated[
        float | None, Help("probability of a blur (--blur: 0.5, --no-blur: 0; default: 0.5 in simclr, 0 in small)")
    ] = None
    ops: Annotated[
        tuple[Op, ...] | None,
        Help(
            "the augmentations one by one, in place of the policy: NAME, NAME@PROB or NAME@PROB=LOW,HIGH each; "
            "'policy' stands for all of the policy's, MODULE:NAME for one of your own"
        ),
    ] = None
    one_branch: Annotated[
        bool, Help("both views take the same crop; every later op acts on the second view alone (the paper's figure 5)")
    ] = False
    eval_size_px: Annotated[
        int | None, Help("side of the central view when embedding (default: --size-px where given)")
    ] = None
    eval_crop_fraction: Annotated[
        float, Help("share of the short side that the central crop keeps when embedding (1: all)")
    ] = 0.875

    def __post_init__(self) -> None:
        check_kinds(self)
        require(self.size_px >= 8, "size_px", self.size_px, "at least 8 pixels")
        require(self.eval_size_px is None or self.eval_size_px >= 8, "eval_size_px", self.eval_size_px, "at least 8")
        require_choice("policy", self.policy, ("simclr", "small"))
        require_choice("colour", self.colour, ("photos", "channels"))
        require(0.0 <= self.strength <= 2.5, "strength", self.strength, "in [0, 2.5]")
        low, high = self.crop_area
        require(0.0 < low <= high <= 1.0, "crop_area", self.crop_area, "low, high with 0 < low <= high <= 1")
        for name in ("flip_prob", "vertical_flip_prob", "grayscale_prob", "blur_prob"):
            prob = getattr(self, name)
            require(prob is None or 0.0 <= prob <= 1.0, name, prob, "a probability in [0, 1]")
        require(0.0 <= self.rotate_degrees <= 180.0, "rotate_degrees", self.rotate_degrees, "in [0, 180] degrees")
        if self.jitter is not None:
            fits = min(self.jitter) >= 0.0 and max(self.jitter) < math.inf and self.jitter[3] <= 0.5
            require(fits, "jitter", self.jitter, "four strengths of at least 0, the last (hue) at most 0.5")
        require_choice("interpolation", self.interpolation, ("bilinear", "bicubic"))
        require(0.0 < self.eval_crop_fraction <= 1.0, "eval_crop_fraction", self.eval_crop_fraction, "in (0, 1]")

    @property
    def embedding_px(self) -> int:
        """Side of the central view that is embedded."""
        return self.eval_size_px or self.size_px


def require_used(views: ViewsRecipe, settings: dict[str, Any], before: dict[str, Any]) -> None:
    """Raises TwofoldError for settings of the named policy where a list of ops has taken its place."""
    if views.ops is None or any(op.name == POLICY for op in views.ops):
        return
    for name in POLICY_SETTINGS:
        if name in settings and settings[name] != before[name]:
            raise TwofoldError(
                f"{name} is {settings[name]!r}, but the recipe lists its augmentations one by one, and {name} is a "
                "setting of the named policy. Change the list, put 'policy' into it, or give --ops None."
            )
