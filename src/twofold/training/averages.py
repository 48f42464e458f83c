"""Averages over the steps since the last line of the log, without asking the device at every step."""

import time
from typing import Any

import torch
from torch import Tensor


class Window:
    """Sums of a few steps' results; `close` turns them into one row and begins anew."""

    def __init__(self) -> None:
        self._before_s = 0.0  # spent on this window before the run was interrupted
        self._wait_s = 0.0
        self._steps = 0
        self._sums: dict[str, Tensor] = {}
        self._start = time.monotonic()

    def add(self, result: dict[str, Tensor]) -> None:
        """Take up one step's scalars: those that the window's first step had, which an older version may have taken."""
        self._steps += 1
        for name in tuple(self._sums or result):
            self._sums[name] = self._sums[name] + result[name] if name in self._sums else result[name]

    def close(self, wait_s: float, batch_size: int) -> dict[str, float]:
        """Means, images/s and the share of time spent waiting for data; `wait_s` is the loader's total so far."""
        totals = torch.stack([*self._sums.values()]).tolist()  # one transfer, so one wait
        means = {name: total / self._steps for name, total in zip(self._sums, totals, strict=True)}
        elapsed_s = self._elapsed_s()
        row = {
            **means,
            "images_per_s": self._steps * batch_size / elapsed_s,
            "wait_share": (wait_s - self._wait_s) / elapsed_s,
            "window_s": elapsed_s,
        }
        self._before_s, self._wait_s, self._steps = 0.0, wait_s, 0
        self._sums, self._start = {}, time.monotonic()
        return row

    def state_dict(self) -> dict[str, Any]:
        """What a continued run needs to close this window as an undisturbed one would."""
        return {"sums": self._sums, "steps": self._steps, "elapsed_s": self._elapsed_s()}

    def load_state_dict(self, values: dict[str, Any]) -> None:
        """Go on with a window that was saved."""
        self._sums, self._steps, self._before_s = values["sums"], values["steps"], values["elapsed_s"]

    def _elapsed_s(self) -> float:
        return self._before_s + time.monotonic() - self._start
