"""Processes forked from a driver that has imported everything and run nothing: started at once, with fresh threads."""

import os
import sys
from collections.abc import Callable
from functools import partial

import torch._dynamo  # noqa: F401  # a second or two, in every child, by the first optimizer that is made

from ports import free_port


def forked(work: Callable[[], object], name: str = "child") -> int:
    """The number of a process that does `work`; it ends with 0, or with 3 and a line where that raises."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            sys.stdout.flush()
        except BaseException as error:
            print(f"{name} failed: {error!r}", file=sys.stderr, flush=True)
            os._exit(3)
        os._exit(0)
    return pid


def forked_group(processes: int, work: Callable[[int], object], *, one_machine: bool = True) -> list[int]:
    """The exit codes of a group of processes that each do `work(rank)`, as if torchrun had started them."""
    port = free_port()

    def begin(rank: int) -> None:
        os.environ |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(processes),
            "LOCAL_WORLD_SIZE": str(processes if one_machine else 1),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        work(rank)

    children = [forked(partial(begin, rank), f"process {rank}") for rank in range(processes)]
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
