"""Averages over the steps since the last line of metrics.jsonl, without asking the device at every step."""

import time

from torch import Tensor


class Window:
    """Sums of a few steps' results; `close` turns them into one row and begins anew."""

    def __init__(self, wait_s: float = 0.0) -> None:
        self._begin(wait_s)

    def add(self, result: dict[str, Tensor]) -> None:
        """Take up one step's scalars."""
        self._steps += 1
        for name, value in result.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value

    def close(self, wait_s: float, batch_size: int) -> dict[str, float]:
        """Means, images/s and the share of time spent waiting for data; `wait_s` is the loader's total so far."""
        means = {name: float(total) / self._steps for name, total in self._sums.items()}
        elapsed_s = time.monotonic() - self._start
        row = {
            **means,
            "images_per_s": self._steps * batch_size / elapsed_s,
            "wait_share": (wait_s - self._wait_s) / elapsed_s,
            "window_s": elapsed_s,
        }
        self._begin(wait_s)
        return row

    def _begin(self, wait_s: float) -> None:
        self._start, self._wait_s, self._steps = time.monotonic(), wait_s, 0
        self._sums: dict[str, Tensor] = {}
