"""Processes forked from a driver that has imported everything and run nothing: started at once, with fresh threads."""

import os
import sys
from collections.abc import Callable

import torch._dynamo  # noqa: F401  # a second or two, in every child, by the first optimizer that is made


def forked(work: Callable[[], object], name: str = "child") -> int:
    """The number of a process that does `work`; it ends with 0, or with 3 and a line where that raises."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            sys.stdout.flush()
        except BaseException as error:
            print(f"{name} failed: {error!r}", file=sys.stderr, flush=True)
            os._exit(3)
        os._exit(0)
    return pid
