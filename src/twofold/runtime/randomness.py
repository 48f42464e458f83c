"""Random numbers that torch draws from a generator of the process, made functions of a key."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

import torch


def seed_random(device: torch.device, *key: int) -> None:
    """Set the generators of the CPU and of `device` by the numbers in `key`, and those of no other device.

    Equal keys give equal random numbers, on one kind of device; others are independent.
    """
    seed = int.from_bytes(blake2b(repr(key).encode(), digest_size=8).digest(), "little") >> 1  # torch takes 63 bits
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


@contextmanager
def forked_random(device: torch.device) -> Iterator[None]:
    """Inside, random numbers may be drawn and seeded; afterwards the program around goes on with its own.

    Touches the generators of the CPU and of `device` alone.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        before = torch.mps.get_rng_state() if device.type == "mps" else None
        try:
            yield
        finally:
            if before is not None:
                torch.mps.set_rng_state(before)


@contextmanager
def weights_of_seed(seed: int) -> Iterator[None]:
    """Inside, modules that are built get the weights of `seed`, on the CPU; no other random number is touched."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
