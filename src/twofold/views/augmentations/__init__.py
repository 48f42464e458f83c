"""Augmentations: the built-in ops, each one object, and the user's own beside them."""

from twofold.recipes.augmentation import Op
from twofold.views.augmentations.base import Augmentation, BuiltIn, Values
from twofold.views.augmentations.blur import Blur
from twofold.views.augmentations.channels import ChannelDrop, ChannelJitter
from twofold.views.augmentations.colour import Grayscale, Jitter, Solarise
from twofold.views.augmentations.crop import Crop
from twofold.views.augmentations.filters import Cutout, Noise, Sobel
from twofold.views.augmentations.geometry import Flip, Rotate, RotateDegrees, VerticalFlip
from twofold.views.augmentations.own import Own, build_own, on_each, require_augmentations, take

__all__ = [
    "BUILT_IN",
    "Augmentation",
    "Blur",
    "BuiltIn",
    "ChannelDrop",
    "ChannelJitter",
    "Crop",
    "Cutout",
    "Flip",
    "Grayscale",
    "Jitter",
    "Noise",
    "Own",
    "Rotate",
    "RotateDegrees",
    "Sobel",
    "Solarise",
    "Values",
    "VerticalFlip",
    "build_augmentation",
    "build_own",
    "on_each",
    "require_augmentations",
    "take",
]

BUILT_IN: dict[str, type[BuiltIn]] = {
    kind.name: kind
    for kind in (
        Crop,
        Flip,
        VerticalFlip,
        Jitter,
        Grayscale,
        ChannelJitter,
        ChannelDrop,
        Blur,
        Cutout,
        Sobel,
        Noise,
        Rotate,
        RotateDegrees,
        Solarise,
    )
}


def build_augmentation(op: Op, interpolation: str = "bicubic") -> BuiltIn | Own:
    """The object that an op of a policy stands for; `interpolation` is that of a crop.

    Raises TwofoldError for an augmentation of the user's own that a saved recipe only names.
    """
    if op.own:
        return build_own(op)
    if op.name == "crop":
        return Crop(op.range[0], op.range[1], interpolation)
    return BUILT_IN[op.name](*op.range)
