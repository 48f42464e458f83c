"""What a CUDA graph is, on a CPU: the operations of one pass, done again later with the same places of memory.

Numbers of the host are those of the recorded pass, and results lie where they lay then, as in a real graph.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Tape(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default):
            raise RuntimeError("operation not permitted when stream is capturing")
        self.calls.append((func, args, kwargs or {}, found))
        return found

    def replay(self) -> None:
        with torch.no_grad():
            for func, args, kwargs, found in self.calls:
                again = func(*args, **kwargs)
                if any(one.alias_info is not None for one in func._schema.returns):
                    continue  # a view, or written in its place
                for old, new in zip(tree_leaves(found), tree_leaves(again), strict=True):
                    if isinstance(old, Tensor):
                        old.copy_(new)


def record(work: Callable[[], Tensor], _device: torch.device) -> tuple[Callable[[], object], Tensor]:
    """Warmed up, and recorded."""
    for _ in range(3):
        work()
    tape = _Tape()
    with tape:
        found = work()
    return tape.replay, found
