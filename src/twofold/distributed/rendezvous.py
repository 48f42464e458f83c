"""A name that only one start of a group of processes uses, so that what an earlier start left is never read."""

import time
import uuid
from typing import Protocol, runtime_checkable

from twofold.errors import TwofoldError

_LOOK_EVERY_S = 0.02


@runtime_checkable
class Store(Protocol):
    """The part of torch.distributed's stores that is used here."""

    def set(self, key: str, value: str, /) -> None: ...
    def get(self, key: str, /) -> bytes: ...
    def check(self, keys: list[str], /) -> bool: ...


def agree_on_name(store: Store, rank: int, size: int, *, patience_s: float = 1800.0) -> str:
    """The same new name in all K processes, whatever earlier starts have left in the store.

    torchrun keeps one store over restarts (pytorch/pytorch issue 135712), and a restarted process that reads an address
    there may get that of a killed one. So each process asks under a word of its own, and only an answer to that
    word counts; the first process answers until every other has said the name back.
    Raises TwofoldError for processes that do not come within `patience_s` seconds.
    """
    deadline = time.monotonic() + patience_s
    if rank > 0:
        asked = uuid.uuid4().hex
        store.set(f"twofold/asks/{rank}", asked)
        _wait(store, f"twofold/answers/{asked}", deadline, "process 0")
        name = store.get(f"twofold/answers/{asked}").decode()
        store.set(f"{name}/{rank}", "here")
        return name
    name = f"twofold/{uuid.uuid4().hex}"
    missing = list(range(1, size))
    while missing := [other for other in missing if not store.check([f"{name}/{other}"])]:
        for other in missing:
            if store.check([f"twofold/asks/{other}"]):
                store.set(f"twofold/answers/{store.get(f'twofold/asks/{other}').decode()}", name)
        _pause(deadline, f"process {missing[0]}")
    return name


def _wait(store: Store, key: str, deadline: float, who: str) -> None:
    while not store.check([key]):
        _pause(deadline, who)


def _pause(deadline: float, who: str) -> None:
    if time.monotonic() > deadline:
        raise TwofoldError(f"{who} did not connect. See its output, then start all processes again.")
    time.sleep(_LOOK_EVERY_S)
