"""Random numbers are a function of a key, and those of the program around go on as if nobody had drawn."""

from collections.abc import Iterator

import pytest
import torch

from pretend_cuda import CUDA, pretended_cuda
from twofold.runtime.randomness import forked_random, seed_random, weights_of_seed

CPU = torch.device("cpu")


@pytest.fixture(params=[CPU, CUDA], ids=str)
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    with torch.random.fork_rng(devices=[]), pretended_cuda():
        yield request.param


def drawn(device: torch.device) -> list[float]:
    """From the generator of the CPU and from that of the device."""
    return [*torch.rand(2).tolist(), *torch.rand(2, device=device).cpu().tolist()]


def test_equal_keys_give_equal_numbers_and_others_do_not(device: torch.device) -> None:
    found = []
    for key in ((1, 2), (1, 2), (1, 3), (12,), (2, 1)):
        seed_random(device, *key)
        found.append(tuple(drawn(device)))
    assert found[0] == found[1]
    assert len(set(found)) == 4


def test_both_generators_are_as_before(device: torch.device) -> None:
    seed_random(device, 0)
    expected = drawn(device)
    seed_random(device, 0)
    with forked_random(device):
        seed_random(device, 5)
        inside = drawn(device)
    assert drawn(device) == expected != inside


def test_also_where_the_block_fails(device: torch.device) -> None:
    seed_random(device, 0)
    expected = drawn(device)
    seed_random(device, 0)

    def fails() -> None:
        with forked_random(device):
            seed_random(device, 5)
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert drawn(device) == expected


def test_weights_are_those_of_the_seed_and_nothing_else_moves(device: torch.device) -> None:
    seed_random(device, 0)
    expected = drawn(device)
    found = []
    for seed in (3, 3, 4):
        seed_random(device, 0)
        with weights_of_seed(seed):
            found.append(torch.nn.Linear(3, 3).weight.detach())
        assert drawn(device) == expected
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    torch.manual_seed(3)
    assert torch.equal(torch.nn.Linear(3, 3).weight, found[0]), "as torch.manual_seed gives them"
