"""How many threads a product is worth."""

import contextlib
import functools
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


@functools.cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()
