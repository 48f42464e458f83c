"""Several processes that act as one: the only folder that imports torch.distributed.

The names are loaded when they are first used, so that the launcher starts without torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twofold.distributed.alone import Alone as Alone
    from twofold.distributed.batch_norm import global_norm as global_norm
    from twofold.distributed.world import Share as Share
    from twofold.distributed.world import World as World
    from twofold.distributed.world import open_world as open_world

__all__ = ["Alone", "Share", "World", "global_norm", "open_world"]

_HOMES = {"Alone": "alone", "global_norm": "batch_norm", "Share": "world", "World": "world", "open_world": "world"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'twofold.distributed' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"twofold.distributed.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
