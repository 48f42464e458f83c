"""What every loss does first: check the pair, choose the type to compute in, find the positives.

Legend: n images, p = dim of z.
"""

import torch
from torch import Tensor
from torch.nn import functional

from twofold.errors import TwofoldError

TINY = 1e-6  # rows shorter than this are not brought to length one: their gradient would explode

Anchors = tuple[int, int]


def require_pair(z_a: Tensor, z_b: Tensor) -> None:
    """Raises TwofoldError for unequal shapes and for no rows."""
    if z_a.shape != z_b.shape or z_a.ndim != 2 or len(z_a) == 0:
        raise TwofoldError(
            f"z_a is {tuple(z_a.shape)} and z_b is {tuple(z_b.shape)}, but both must be (n, p) with the same n >= 1 "
            "and p. Give row i of both from image i."
        )


def require_temperature(temperature: float) -> None:
    """Raises TwofoldError for a temperature of 0 or less."""
    if not temperature > 0:
        raise TwofoldError(f"temperature is {temperature!r}, but it must be above 0. Change --temperature.")


def require_margin(margin: float, semi_hard: bool) -> None:
    """Raises TwofoldError for a margin below 0, and for one of 0 where semi-hard negatives must lie inside it."""
    if not (margin > 0 or (margin == 0 and not semi_hard)):
        rule = "above 0, or no negative is semi-hard" if semi_hard else "at least 0"
        raise TwofoldError(f"margin is {margin!r}, but it must be {rule}. Change --margin.")


def anchor_range(anchors: Anchors | None, n: int) -> Anchors:
    """(start, stop) of the images whose views are anchors; all n for None. Raises TwofoldError outside [0, n]."""
    start, stop = anchors or (0, n)
    if not 0 <= start < stop <= n:
        raise TwofoldError(
            f"anchors are {anchors}, but they must be (start, stop) with 0 <= start < stop <= {n}. "
            "Give the range of images that this process holds."
        )
    return start, stop


def anchor_rows(anchors: Anchors, n: int, device: torch.device) -> Tensor:
    """(m,): where in [z_a; z_b] the views of these images lie, those of z_a first; made on the device."""
    start, stop = anchors
    halves = torch.arange(start, stop, device=device), torch.arange(n + start, n + stop, device=device)
    return torch.cat(halves)


def positives(rows: Tensor, n: int) -> Tensor:
    """(m,): where in [z_a; z_b] the positive of each row lies, n further in the first half and n back in the second."""
    return (rows + n) % (2 * n)


def wide(z: Tensor) -> Tensor:
    """float32 for shorter types, float64 for float64."""
    return z.to(torch.promote_types(z.dtype, torch.float32))


def prepare(z: Tensor, normalize: bool) -> Tensor:
    """Wide, and with rows of length one if asked."""
    return functional.normalize(wide(z), dim=1, eps=TINY) if normalize else wide(z)
