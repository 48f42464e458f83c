"""Draws the parameters of the global batch's views: a pure function of (policy, seed, step).

Legend: m = 2N rows, all a views and then all b views of N images; k numbers for a row, by op:

    crop       22   area fraction x 10, log aspect x 10 (ten attempts), position down and right in [0, 1)
    jitter      8   factors of brightness, contrast and saturation, hue shift in turns; the four in order of application
    blur        1   sigma in pixels
    cutout      3   area fraction, position down and right in [0, 1)
    noise       2   standard deviation, seed of the field (a whole number below 2**24)
    rotate      1   quarter turns (a whole number)
    solarise    1   threshold
    flip, grayscale, sobel   0
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor

from twofold.errors import TwofoldError
from twofold.recipes.recipe import Op

ATTEMPTS = 10  # boxes tried before the central fallback, as in torchvision
ASPECT = (3 / 4, 4 / 3)  # width / height of a crop: low, high
NOISE_SEEDS = 2**24  # whole numbers that float32 holds exactly


@dataclass(frozen=True)
class Draw:
    """One op's parameters for m views: whether it acts on a row, and with which numbers. On the CPU."""

    op: Op
    active: Bool[Tensor, "m"]
    values: Float[Tensor, "m k"]


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
        rows = torch.cat([first, first + draw.active.shape[0] // 2])
        taken.append(Draw(draw.op, draw.active[rows], draw.values[rows]))
    return tuple(taken)


def _draw_all(policy: Sequence[Op], rows: int, seed: int, step: int) -> tuple[Draw, ...]:
    return tuple(_draw(op, rows, _generator(seed, step, position)) for position, op in enumerate(policy))


def _generator(seed: int, step: int, position: int) -> Generator:
    digest = hashlib.blake2b(f"{seed}/{step}/{position}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little", signed=True))


def _draw(op: Op, m: int, generator: Generator) -> Draw:
    active = _uniform(generator, m)[:, 0] < op.prob
    values = _VALUES[op.name](op.range, m, generator) if op.name in _VALUES else torch.empty(m, 0)
    if op.branch == "shared":  # what was drawn for view a holds for view b too
        return Draw(op, active[: m // 2].repeat(2), values[: m // 2].repeat(2, 1))
    if op.branch == "b":
        active[: m // 2] = False
    return Draw(op, active, values)


def _uniform(generator: Generator, m: int, k: int = 1, low: float = 0.0, high: float = 1.0) -> Tensor:
    return torch.rand(m, k, generator=generator, dtype=torch.float32).mul_(high - low).add_(low)


def _whole(generator: Generator, m: int, low: int, high: int) -> Tensor:
    return torch.randint(low, high + 1, (m, 1), generator=generator).to(torch.float32)


def _crop_values(area: tuple[float, ...], m: int, generator: Generator) -> Tensor:
    areas = _uniform(generator, m, ATTEMPTS, area[0], area[1])
    log_aspects = _uniform(generator, m, ATTEMPTS, math.log(ASPECT[0]), math.log(ASPECT[1]))
    return torch.cat([areas, log_aspects, _uniform(generator, m, 2)], dim=1)


def _jitter_values(strengths: tuple[float, ...], m: int, generator: Generator) -> Tensor:
    factors = [_uniform(generator, m, 1, max(0.0, 1.0 - x), 1.0 + x) for x in strengths[:3]]
    hue = _uniform(generator, m, 1, -strengths[3], strengths[3])
    order = _uniform(generator, m, 4).argsort(dim=1).to(torch.float32)
    return torch.cat([*factors, hue, order], dim=1)


def _cutout_values(area: tuple[float, ...], m: int, generator: Generator) -> Tensor:
    return torch.cat([_uniform(generator, m, 1, area[0], area[1]), _uniform(generator, m, 2)], dim=1)


def _noise_values(sigma: tuple[float, ...], m: int, generator: Generator) -> Tensor:
    seeds = _whole(generator, m, 0, NOISE_SEEDS - 1)
    return torch.cat([_uniform(generator, m, 1, sigma[0], sigma[1]), seeds], dim=1)


def _rotate_values(turns: tuple[float, ...], m: int, generator: Generator) -> Tensor:
    return _whole(generator, m, int(turns[0]), int(turns[1]))


def _range_values(bounds: tuple[float, ...], m: int, generator: Generator) -> Tensor:
    return _uniform(generator, m, 1, bounds[0], bounds[1])


_VALUES: dict[str, Callable[[tuple[float, ...], int, Generator], Tensor]] = {
    "crop": _crop_values,
    "jitter": _jitter_values,
    "blur": _range_values,
    "cutout": _cutout_values,
    "noise": _noise_values,
    "rotate": _rotate_values,
    "solarise": _range_values,
}
