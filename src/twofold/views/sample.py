"""Draws the parameters of the global batch's views: a pure function of (policy, seed, step).

Legend: m = 2N rows, all a views and then all b views of N images; k numbers for a row, by op:

    crop           22   area fraction x 10, log aspect x 10 (ten attempts), position down and right in [0, 1)
    jitter          8   factors of brightness, contrast, saturation, hue shift in turns; the four in order
    blur            1   sigma in pixels
    cutout          3   area fraction, position down and right in [0, 1)
    noise           2   standard deviation, seed of the field (a whole number below 2**24)
    rotate          1   quarter turns (a whole number)
    solarise        1   threshold
    rotate-degrees  1   degrees, counter-clockwise
    channel-jitter 96   gain, offset and gamma, each of up to 32 channels
    channel-drop    1   which channel, as a share of all in [0, 1)
    flip, vertical-flip, grayscale, sobel   0

An augmentation of the user's own draws what it likes: tensors of m rows.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Int64
from torch import Generator, Tensor

from twofold.errors import TwofoldError
from twofold.recipes.recipe import Op
from twofold.views.augmentations import build_augmentation, on_each, take
from twofold.views.augmentations.base import uniform


@dataclass(frozen=True)
class Draw:
    """One op's parameters for m views: whether it acts on a row, and with which numbers. On the CPU."""

    op: Op
    active: Bool[Tensor, "m"]
    values: Any  # (m, k) of a built-in op; of an own one what it drew: a tensor or a tuple of tensors of m rows

    def rows(self, rows: slice | Int64[Tensor, "k"]) -> "Draw":
        """Those of some views."""
        return Draw(self.op, self.active[rows], take(self.values, rows))


def sample_views(policy: Sequence[Op], count: int, *, seed: int, step: int) -> tuple[Draw, ...]:
    """Parameters for both views of `count` images, m = 2 * count rows: all a, then all b.

    Independent in the two views, unless the op's `branch` says that they share a draw or that it acts on b alone.
    The same whatever the device and the number of processes: draw for the global batch, then `take_rows`.
    """
    return _draw_all(policy, 2 * count, seed, step)


def sample_rows(policy: Sequence[Op], rows: int, *, seed: int, step: int) -> tuple[Draw, ...]:
    """Parameters for `rows` views: the draws of `one_view`, where each image has a single one.

    Raises TwofoldError for an op whose branch is not "each": it is about a pair of views, and there is none.
    """
    for op in policy:
        if op.branch != "each":
            raise TwofoldError(
                f"the op '{op.name}' has the branch '{op.branch}', which is about a pair of views, but here each image "
                "has a single view, so every branch must be 'each'. Take the ops of build_single_policy."
            )
    return _draw_all(policy, rows, seed, step)


def take_rows(draws: Sequence[Draw], images: slice | Int64[Tensor, "n"]) -> tuple[Draw, ...]:
    """The draws of some of the images only, rows of both views: (2n, k), all a, then all b."""
    taken = []
    for draw in draws:
        first = torch.arange(draw.active.shape[0] // 2)[images]
        taken.append(draw.rows(torch.cat([first, first + draw.active.shape[0] // 2])))
    return tuple(taken)


def _draw_all(policy: Sequence[Op], rows: int, seed: int, step: int) -> tuple[Draw, ...]:
    return tuple(_draw(op, rows, _generator(seed, step, position)) for position, op in enumerate(policy))


def _generator(seed: int, step: int, position: int) -> Generator:
    digest = hashlib.blake2b(f"{seed}/{step}/{position}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little", signed=True))


def _draw(op: Op, m: int, generator: Generator) -> Draw:
    active = uniform(generator, m)[:, 0] < op.prob
    values = build_augmentation(op).draw(m, generator)
    if op.branch == "shared":  # what was drawn for view a holds for view b too
        return Draw(op, active[: m // 2].repeat(2), on_each(values, lambda one: torch.cat([one[: m // 2]] * 2)))
    if op.branch == "b":
        active[: m // 2] = False
    return Draw(op, active, values)
