"""Random numbers that torch draws from a generator of the process, made functions of a key."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

import torch


def seed_random(device: torch.device, *key: int) -> None:
    """Set by the numbers in `key` every generator that what computes on `device` may draw from.

    They are the CPU's, that of `device`, and, where this process uses CUDA or the machine has MPS, that of the current
    device: the work may lie there while `device` does not tell. Those of other GPUs stay, and CUDA is not started.
    Equal keys give equal random numbers, on one kind of device; others are independent.
    """
    seed = int.from_bytes(blake2b(repr(key).encode(), digest_size=8).digest(), "little") >> 1  # torch takes 63 bits
    torch.default_generator.manual_seed(seed)
    for gpu in _gpus(device):
        with torch.cuda.device(gpu):
            torch.cuda.manual_seed(seed)
    if _draws_on_mps(device):
        torch.mps.manual_seed(seed)


@contextmanager
def forked_random(device: torch.device) -> Iterator[None]:
    """Inside, random numbers may be drawn and seeded; afterwards the program around goes on with its own.

    Touches the generators that `seed_random` sets, and no others.
    """
    with torch.random.fork_rng(devices=_gpus(device)):
        before = torch.mps.get_rng_state() if _draws_on_mps(device) else None
        try:
            yield
        finally:
            if before is not None:
                torch.mps.set_rng_state(before)


def _gpus(device: torch.device) -> list[int]:
    """The CUDA devices, by number, whose random numbers count: `device`, and the current one if CUDA is in use."""
    if device.type != "cuda" and not torch.cuda.is_initialized():
        return []
    current = torch.cuda.current_device()
    own = current if device.type != "cuda" or device.index is None else device.index
    return sorted({own, current})


def _draws_on_mps(device: torch.device) -> bool:
    return device.type == "mps" or torch.backends.mps.is_available()


@contextmanager
def weights_of_seed(seed: int) -> Iterator[None]:
    """Inside, modules that are built get the weights of `seed`, on the CPU; no other random number is touched."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
