"""How the weights move."""

from twofold.optim.build import build_optimizer, set_lr
from twofold.optim.groups import decay_rates, param_groups, share_rates
from twofold.optim.lars import LARS
from twofold.optim.schedule import lr_at, peak_lr

__all__ = ["LARS", "build_optimizer", "decay_rates", "lr_at", "param_groups", "peak_lr", "set_lr", "share_rates"]
