"""One image -> two views."""

from twofold.views.augmentations import Augmentation, build_augmentation, require_augmentations
from twofold.views.center import center_view
from twofold.views.policy import build_policy, build_single_policy, require_policy
from twofold.views.sample import Draw, sample_rows, sample_views, take_rows
from twofold.views.two_views import TwoViews, one_view, two_views

__all__ = [
    "Augmentation",
    "Draw",
    "TwoViews",
    "build_augmentation",
    "build_policy",
    "build_single_policy",
    "center_view",
    "one_view",
    "require_augmentations",
    "require_policy",
    "sample_rows",
    "sample_views",
    "take_rows",
    "two_views",
]
