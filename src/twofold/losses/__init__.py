"""Losses: pure functions of z, and the choice among them."""

from twofold.losses.accuracy import contrast_accuracy, contrast_measures
from twofold.losses.build import build_loss, loss_version
from twofold.losses.dcl import dcl
from twofold.losses.dense import nt_xent_dense
from twofold.losses.logistic import nt_logistic
from twofold.losses.nt_xent import nt_xent, nt_xent_version
from twofold.losses.prepare import wide
from twofold.losses.tiled import nt_xent_tiled
from twofold.losses.triplet import triplet

__all__ = [
    "build_loss",
    "contrast_accuracy",
    "contrast_measures",
    "dcl",
    "loss_version",
    "nt_logistic",
    "nt_xent",
    "nt_xent_dense",
    "nt_xent_tiled",
    "nt_xent_version",
    "triplet",
    "wide",
]
