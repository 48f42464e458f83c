"""Messages through shared memory: whole, in order, never overwritten too early, and never waited for in vain."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from torch import Tensor

from twofold.distributed import shared_memory
from twofold.distributed.shared_memory import Mailbox, can_share, new_mailbox, open_mailbox
from twofold.errors import TwofoldError

T = TypeVar("T")
SLOT_FLOATS = 2**18

pytestmark = pytest.mark.skipif(not can_share(2), reason="shared memory messages need an x86 processor")


@pytest.fixture
def path() -> Iterator[Path]:
    path = new_mailbox(3)
    if path is None:
        pytest.skip("no shared memory here")
    yield path
    path.unlink()


def together(path: Path, work: Callable[[Mailbox, int], T], size: int = 3) -> list[T]:
    """The same work at all ends at once, each in a thread."""
    with ExitStack() as stack:
        ends = [stack.enter_context(open_mailbox(path, rank, size)) for rank in range(size)]
        pool = stack.enter_context(ThreadPoolExecutor(size))
        return list(pool.map(work, ends, range(size)))


def numbers(rank: int, count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randint(-9, 9, (count,), generator=torch.Generator().manual_seed(rank)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64])
@pytest.mark.parametrize("count", [1, 7, SLOT_FLOATS, SLOT_FLOATS + 1, 3 * SLOT_FLOATS - 5])
def test_stack_and_sum_are_those_of_all(path: Path, count: int, dtype: torch.dtype) -> None:
    rows = torch.stack([numbers(rank, count, dtype) for rank in range(3)])

    def work(end: Mailbox, rank: int) -> tuple[Tensor, Tensor]:
        return end.stack(rows[rank]), end.sum(rows[rank])

    for stacked, total in together(path, work):
        assert stacked.equal(rows)
        assert total.dtype == dtype
        assert total.equal(rows.sum(dim=0).to(dtype))


def test_sums_are_bit_identical_everywhere(path: Path) -> None:
    def work(end: Mailbox, rank: int) -> Tensor:
        return end.sum(torch.randn(10_000, generator=torch.Generator().manual_seed(rank)))

    first, *others = together(path, work)
    assert all(other.equal(first) for other in others)


def test_many_messages_stay_in_order(path: Path) -> None:
    def work(end: Mailbox, rank: int) -> list[float]:
        return [float(end.sum(torch.tensor([float(i * (rank + 1))]))) for i in range(300)]

    for totals in together(path, work):
        assert totals == [6.0 * i for i in range(300)]


def read_slowly(path: Path) -> float:
    """What the slow one of two reads of the first message, when the fast one is already at its second."""

    def work(end: Mailbox, rank: int) -> float:
        first = next(end._pieces(torch.tensor([1.0])))
        if rank == 1:
            time.sleep(0.1)
            return float(first[0])
        with contextlib.suppress(TwofoldError):  # waits until the slow one sends its second, or finds it gone
            next(end._pieces(torch.tensor([2.0])))
        return 0.0

    with ExitStack() as stack:
        fast, slow = (stack.enter_context(open_mailbox(path, rank, 2)) for rank in range(2))
        pool = stack.enter_context(ThreadPoolExecutor(2))
        waiting = pool.submit(work, fast, 0)
        read = pool.submit(work, slow, 1).result()
        waiting.result()
        return read


def test_a_message_is_not_overwritten_before_it_is_read(path: Path) -> None:
    assert read_slowly(path) == 1.0


def test_with_one_set_of_slots_it_would_be(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class OneSet(Mailbox):
        def __init__(self, file: int, rank: int, size: int) -> None:
            super().__init__(file, rank, size)
            self._slots = self._slots[:1].expand(2, -1, -1)

    monkeypatch.setattr(shared_memory, "Mailbox", OneSet)
    assert read_slowly(path) == 2.0


def test_a_process_that_was_killed_is_not_waited_for(path: Path) -> None:
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with open_mailbox(path, 1, 2):
                os.write(tell, b"!")
                time.sleep(60)
        finally:
            os._exit(0)
    os.close(tell)
    assert os.read(ready, 1) == b"!"
    with open_mailbox(path, 0, 2) as end, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(end.sum, torch.ones(1))
        time.sleep(1.2)  # two looks at a process that is alive
        assert not waiting.done()
        os.kill(pid, 9)
        with pytest.raises(TwofoldError, match="process 1 has ended, and process 0 waits for it"):
            waiting.result(timeout=10)
    os.waitpid(pid, 0)


def test_a_ring_serves_many_processes() -> None:
    assert can_share(shared_memory.MOST_PROCESSES)
    assert not can_share(shared_memory.MOST_PROCESSES + 1)


def test_without_room_there_is_no_mailbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_room(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(shared_memory, "_SHARED_MEMORY", str(tmp_path))
    monkeypatch.setattr(os, "posix_fallocate", no_room)
    assert new_mailbox(2) is None
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(shared_memory, "_SHARED_MEMORY", str(tmp_path / "absent"))
    assert new_mailbox(2) is None
