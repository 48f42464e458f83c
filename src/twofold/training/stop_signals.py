"""Ctrl-C, SIGTERM, SIGUSR1 and SIGUSR2 as a question that the training loop asks, so that it can save first."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_STOPPING = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")  # Windows lacks the last two; SLURM warns with them


@contextmanager
def stop_signals() -> Iterator[Callable[[], int | None]]:
    """Yield a function that returns the number of the signal that came, or None.

    A second Ctrl-C interrupts at once, as without this. Outside the main thread, where Python takes no signals,
    nothing is caught.
    """
    received: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    numbers = [getattr(signal, name) for name in _STOPPING if hasattr(signal, name)]
    before = {number: signal.signal(number, remember) for number in numbers}
    try:
        yield lambda: received[0] if received else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
