"""How many threads a product is worth."""

import contextlib
import functools
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager

from threadpoolctl import ThreadpoolController

_SMALL = 1_000_000_000


def fitting_threads(multiplications: int) -> AbstractContextManager[object]:
    """One BLAS thread inside, where a product is small; else all there are.

    On small products threads wait for each other longer than they work: 20 s instead of 0.5 s for one few-label probe,
    measured on two busy cores.
    """
    if multiplications >= _SMALL:
        return contextlib.nullcontext()
    return _libraries().limit(limits=1, user_api="blas")


@contextlib.contextmanager
def side_by_side(tasks: int) -> Iterator[Executor]:
    """Threads that work on `tasks` fits at once, each with one BLAS thread: they never wait for each other."""
    limit = _libraries().limit(limits=1 if tasks > 1 else None, user_api="blas")
    with limit, ThreadPoolExecutor(max(1, min(tasks, os.cpu_count() or 1))) as workers:
        yield workers


@functools.cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()
