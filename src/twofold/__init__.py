"""Twofold: SimCLR for people who have many pictures and few labels.

The public names are loaded when they are first used, so that `import twofold` costs nothing:
`pretrain`, `evaluate`, `transfer`, `embed`, `load`, `nt_xent`, `LARS`, `TwoViews`, `Augmentation`, `Op`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twofold.losses import nt_xent as nt_xent
    from twofold.optim import LARS as LARS
    from twofold.programs.embed import embed as embed
    from twofold.programs.evaluate import evaluate as evaluate
    from twofold.programs.pretrain import pretrain as pretrain
    from twofold.programs.transfer import transfer as transfer
    from twofold.recipes.recipe import Op as Op
    from twofold.runs.encoder_file import load as load
    from twofold.views import Augmentation as Augmentation
    from twofold.views import TwoViews as TwoViews

__version__ = "0.1.0"
__all__ = [
    "LARS",
    "Augmentation",
    "Op",
    "TwoViews",
    "__version__",
    "embed",
    "evaluate",
    "load",
    "nt_xent",
    "pretrain",
    "transfer",
]

_HOMES = {
    "pretrain": "twofold.programs.pretrain",
    "evaluate": "twofold.programs.evaluate",
    "transfer": "twofold.programs.transfer",
    "embed": "twofold.programs.embed",
    "load": "twofold.runs.encoder_file",
    "nt_xent": "twofold.losses",
    "LARS": "twofold.optim",
    "TwoViews": "twofold.views",
    "Augmentation": "twofold.views",
    "Op": "twofold.recipes.recipe",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'twofold' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
