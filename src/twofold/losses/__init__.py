"""Losses: pure functions of z."""

from twofold.losses.accuracy import contrast_accuracy
from twofold.losses.choice import nt_xent, nt_xent_version
from twofold.losses.dense import nt_xent_dense
from twofold.losses.prepare import wide
from twofold.losses.tiled import nt_xent_tiled

__all__ = ["contrast_accuracy", "nt_xent", "nt_xent_dense", "nt_xent_tiled", "nt_xent_version", "wide"]
