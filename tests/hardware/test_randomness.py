"""Random numbers are a function of a key, and those of the program around go on as if nobody had drawn."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from pretend_cuda import CUDA, pretended_cuda
from twofold.hardware.randomness import forked_random, seed_random, weights_of_seed

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


def test_a_device_in_use_is_seeded_and_restored_although_the_work_is_said_to_be_on_the_cpu() -> None:
    with torch.random.fork_rng(devices=[]), pretended_cuda():
        seed_random(CUDA, 0)
        expected = drawn(CUDA)
        seed_random(CUDA, 0)
        with forked_random(CPU):
            found = []
            for key in (5, 5, 6):
                seed_random(CPU, key)
                found.append(drawn(CUDA))
        assert found[0] == found[1] != found[2]
        assert drawn(CUDA) == expected


class Gpus:
    """The generators of a machine with several GPUs, by number; `moved` lists those that were set or read."""

    def __init__(self, patch: pytest.MonkeyPatch, *, current: int, started: bool) -> None:
        self.current, self.moved = current, set[int]()
        patch.setattr(torch.cuda, "is_initialized", lambda: started)
        patch.setattr(torch.cuda, "current_device", self.asked)
        patch.setattr(torch.cuda, "device", self.entered)
        patch.setattr(torch.cuda, "manual_seed", lambda _seed: self.moved.add(self.current))
        patch.setattr(torch.cuda, "get_rng_state", lambda gpu: self.moved.add(gpu))
        patch.setattr(torch.cuda, "set_rng_state", lambda _state, gpu: self.moved.add(gpu))

    def asked(self) -> int:
        assert torch.cuda.is_initialized(), "asking starts CUDA"
        return self.current

    @contextmanager
    def entered(self, gpu: int) -> Iterator[None]:
        before, self.current = self.current, gpu
        yield
        self.current = before


@pytest.mark.parametrize(
    ("device", "started", "moved"),
    [
        ("cpu", False, set()),
        ("cpu", True, {1}),
        ("cuda", True, {1}),
        ("cuda:1", True, {1}),
        ("cuda:2", True, {1, 2}),
    ],
)
@pytest.mark.parametrize("does", ["seed", "fork"])
def test_other_gpus_are_left_alone_and_cuda_is_not_started(
    monkeypatch: pytest.MonkeyPatch, device: str, started: bool, moved: set[int], does: str
) -> None:
    gpus = Gpus(monkeypatch, current=1, started=started)
    with torch.random.fork_rng(devices=[]):
        if does == "seed":
            seed_random(torch.device(device), 3)
        else:
            with forked_random(torch.device(device)):
                pass
    assert (gpus.moved, gpus.current) == (moved, 1)


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
