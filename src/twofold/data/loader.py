"""Batches in an order that is a function of the seed and the epoch, read ahead by a thread."""

import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import lru_cache

import numpy as np
from jaxtyping import Int64

from twofold.data.copies import Copies
from twofold.data.image_set import ImageSet
from twofold.data.parallel import cores
from twofold.data.pixels import ImageBatch
from twofold.data.resident import ResidentImages
from twofold.data.slides import Slides
from twofold.data.splits import permutation
from twofold.errors import TwofoldError

_MOST_THREADS = 8  # beyond which memory is the limit
_AHEAD = 2  # batches read before they are asked for


def rows_of_step(
    rows: Int64[np.ndarray, " n"], batch_size: int, seed: int, step: int, copies: Copies | Slides | None = None
) -> Int64[np.ndarray, " {batch_size}"]:
    """The rows of a step (0, 1, ...): a slice of the permutation of (seed, epoch); an epoch's remainder is dropped.

    epoch = step // (n // batch_size). With `copies` of the rows no batch holds two of one group (`apart`); with slides,
    images come first and then their tiles (`Slides.order`).
    Raises TwofoldError where n < batch_size.

    >>> sorted(int(row) for step in (0, 1) for row in rows_of_step(np.arange(6), 3, seed=0, step=step))
    [0, 1, 2, 3, 4, 5]
    """
    _require_batch(len(rows), batch_size)
    epoch, place = divmod(step, len(rows) // batch_size)
    order = _order(len(rows), seed, epoch) if copies is None else _order_apart(copies, batch_size, seed, epoch)
    return rows[order[place * batch_size : (place + 1) * batch_size]]


class Loader:
    """The batches of steps first_step .. last_step - 1. `wait_s`: seconds that the consumer has waited for them."""

    def __init__(
        self,
        image_set: ImageSet,
        rows: Int64[np.ndarray, " n"],
        *,
        batch_size: int,
        seed: int,
        first_step: int = 0,
        last_step: int,
        positions: Int64[np.ndarray, " m"] | None = None,
        pinned: bool = False,
        resident: ResidentImages | None = None,
        copies: Copies | Slides | None = None,
    ) -> None:
        """`positions`: the places in each batch to read; all of them for None. `copies`: those among `rows` that no
        batch is to hold together. `resident`: the images of `rows` on a device, where batches are then gathered, and
        nothing is read. `pinned`: for a CUDA device, whose copies then wait for nothing (`ImageBatch.pinned`). There
        threads also share the images of a batch, one for every two cores that this process has, eight at most; on a
        CPU, which needs its cores to compute, one reads.

        Raises TwofoldError where there are fewer rows than a batch holds.
        """
        _require_batch(len(rows), batch_size)
        self.wait_s = 0.0
        self._image_set, self._rows = image_set, rows
        self._batch_size, self._seed = batch_size, seed
        self._steps = range(first_step, last_step)
        self._pinned, self._resident, self._copies = pinned, resident, copies
        self._threads = _threads_to_read() if pinned else 1
        self._positions = slice(None) if positions is None else positions

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[ImageBatch]:
        """One batch after the other; what goes wrong while reading is raised here. The thread ends with the loop."""
        if self._resident is not None:
            places = np.arange(len(self._rows))
            yield from (self._resident.gather(self._own(places, step)) for step in self._steps)
            return
        waiting: deque[Future[ImageBatch]] = deque()
        with ExitStack() as stack:
            readers = None
            if self._threads > 1:
                readers = stack.enter_context(ThreadPoolExecutor(self._threads, thread_name_prefix="twofold-reader"))
            # ends first, as it needs the others
            thread = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="twofold-loader"))
            try:
                for step in self._steps:
                    waiting.append(thread.submit(self._read, step, readers))
                    if len(waiting) > _AHEAD:
                        yield self._wait(waiting.popleft())
                while waiting:
                    yield self._wait(waiting.popleft())
            finally:
                for future in waiting:
                    future.cancel()

    def _read(self, step: int, readers: Executor | None) -> ImageBatch:
        rows = self._own(self._rows, step)
        return self._image_set.read(rows, pinned=True, readers=readers) if self._pinned else self._image_set.read(rows)

    def _own(self, rows: Int64[np.ndarray, " n"], step: int) -> Int64[np.ndarray, " m"]:
        return rows_of_step(rows, self._batch_size, self._seed, step, self._copies)[self._positions]

    def _wait(self, batch: Future[ImageBatch]) -> ImageBatch:
        start = time.perf_counter()
        try:
            return batch.result()
        finally:
            self.wait_s += time.perf_counter() - start


def _threads_to_read() -> int:
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # of a launcher, on this machine
    return max(1, min(_MOST_THREADS, cores() // 2 // processes))


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> Int64[np.ndarray, " n"]:
    order = permutation(count, seed, epoch)
    order.setflags(write=False)
    return order


@lru_cache(maxsize=2)
def _order_apart(copies: Copies | Slides, batch_size: int, seed: int, epoch: int) -> Int64[np.ndarray, " n"]:
    order = copies.order(batch_size, seed, epoch)
    order.setflags(write=False)
    return order


def _require_batch(count: int, batch_size: int) -> None:
    if batch_size > count:
        raise TwofoldError(
            f"batch_size is {batch_size:,}, but there are {count:,} images to train on, and a batch shows each at "
            f"most once. Choose --batch-size {count} or less."
        )
