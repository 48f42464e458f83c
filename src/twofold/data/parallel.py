"""Work on many images with all cores, results in order.

Threads, not processes: Pillow decodes and shrinks outside Python's lock, and threads ask nothing of the program that
calls them (no `if __name__ == "__main__"`, no second import of torch for each core).
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from twofold.console import with_progress
from twofold.data.quiet import quiet

Result = TypeVar("Result")
_PORTION = 16  # images a task: few enough to hold little in memory, enough to keep the threads apart
_SPARE = 2  # tasks that wait, so that no thread has to


def in_order(work: Callable[[int], Result], count: int, *, text: str, show: bool) -> Iterator[Result]:
    """work(0), ..., work(count - 1), with a progress bar if `show`; only a few results wait in memory."""
    for portion in with_progress(_portions(work, count), text, step=_PORTION, total=count, show=show):
        yield from portion


def _portions(work: Callable[[int], Result], count: int) -> Iterator[list[Result]]:
    workers = min(cores(), max(1, count // _PORTION))
    waiting: deque[Future[list[Result]]] = deque()

    def run(start: int) -> list[Result]:
        return [work(index) for index in range(start, min(start + _PORTION, count))]

    with quiet(), ThreadPoolExecutor(workers, thread_name_prefix="twofold-decode") as pool:
        try:
            for start in range(0, count, _PORTION):
                waiting.append(pool.submit(run, start))
                if len(waiting) > workers + _SPARE:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def in_flight() -> int:
    """How many items, next to each other, may be worked on at once."""
    return _PORTION * (cores() + _SPARE + 1)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
