"""One image -> two views."""

from twofold.views.center import center_view
from twofold.views.policy import build_policy, build_single_policy
from twofold.views.sample import Draw, sample_rows, sample_views, take_rows
from twofold.views.two_views import one_view, two_views

__all__ = [
    "Draw",
    "build_policy",
    "build_single_policy",
    "center_view",
    "one_view",
    "sample_rows",
    "sample_views",
    "take_rows",
    "two_views",
]
