"""Losses: pure functions of z."""

from twofold.losses.dense import contrast_accuracy, nt_xent

__all__ = ["contrast_accuracy", "nt_xent"]
