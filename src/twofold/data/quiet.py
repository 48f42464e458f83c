"""Silence for code that warns about images: what matters comes back as a reason, not as a line on the screen."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_lock = threading.Lock()
_silence = ExitStack()
_depth = 0


@contextmanager
def quiet() -> Iterator[None]:
    """Ignore warnings inside the block, in any number of threads at once.

    Before Python 3.14 `warnings.catch_warnings` is not safe among threads, since the filters belong to the process: the
    block that ends last may bring back those of another, for good. So blocks that overlap in time share one silence,
    which the last one lifts. Without silence an image that Pillow warns of would be unreadable under `python -W error`.
    """
    global _depth
    with _lock:
        if _depth == 0:
            _silence.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                _silence.close()
