"""A bound on the memory that all threads together decode in."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """`limit` bytes for any number of threads. What alone is larger has all of it to itself."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def take(self, count: int) -> Iterator[None]:
        """Wait until `count` bytes are free and hold them as long as the block runs. Not to be nested in a thread."""
        share = min(count, self._limit)
        with self._changed:
            self._changed.wait_for(lambda: self._taken + share <= self._limit)
            self._taken += share
        try:
            yield
        finally:
            with self._changed:
                self._taken -= share
                self._changed.notify_all()
