"""Processes that start again must not read what killed ones have left."""

import threading
import time

import pytest
from torch.distributed import HashStore, PrefixStore

from twofold.distributed.rendezvous import agree_on_name
from twofold.errors import TwofoldError


def start(store: HashStore, ranks: list[int], *, size: int, patience_s: float = 20.0) -> dict[int, str]:
    """Names by rank; the processes arrive in the order of `ranks`, a little apart."""
    names: dict[int, str] = {}

    def arrive(rank: int) -> None:
        names[rank] = agree_on_name(store, rank, size, patience_s=patience_s)

    threads = [threading.Thread(target=arrive, args=(rank,)) for rank in ranks]
    for thread in threads:
        thread.start()
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    return names


@pytest.mark.parametrize("ranks", [[0], [0, 1], [1, 0], [2, 0, 3, 1], [0, 3, 2, 1]])
def test_one_name_for_all(ranks: list[int]) -> None:
    names = start(HashStore(), ranks, size=len(ranks))
    assert len(names) == len(ranks)
    assert len(set(names.values())) == 1


@pytest.mark.parametrize("ranks", [[0, 1, 2], [2, 1, 0]])
def test_every_start_has_its_own(ranks: list[int]) -> None:
    store = HashStore()
    names = [start(store, order, size=3)[0] for order in ([0, 1, 2], ranks, [1, 0, 2])]
    assert len(set(names)) == 3


@pytest.mark.parametrize("survivor", [0, 1])
def test_a_start_that_broke_off_does_no_harm(survivor: int) -> None:
    store = HashStore()
    with pytest.raises(TwofoldError, match=f"process {1 - survivor} did not connect"):
        agree_on_name(store, survivor, 2, patience_s=0.1)
    for ranks in ([0, 1], [1, 0]):
        names = start(store, ranks, size=2)
        assert names[0] == names[1]


def test_what_an_earlier_start_wrote_is_out_of_sight() -> None:
    store = HashStore()
    first = start(store, [0, 1], size=2)[0]
    PrefixStore(first, store).set("address", "of a killed process")
    second = start(store, [1, 0], size=2)[1]
    assert store.check([f"{first}/address"])
    assert not PrefixStore(second, store).check(["address"])
