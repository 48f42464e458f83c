"""Colour profiles (ICC) of the spaces that files name by numbers: chromaticities, and how numbers become light.

With the columns P of XYZ = (x/y, 1, (1-x-y)/y) of red, green and blue, W of white, and Bradford's matrix B:

    columns = B^-1 diag(B D50 / B W) B  P diag(P^-1 W)
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float

Chromaticities = tuple[float, ...]  # x and y of white, red, green and blue

_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def power(exponent: float) -> bytes:
    """The curve light = v^exponent. Raises struct.error where the exponent is beyond 32,767."""
    return b"para" + struct.pack(">4xHxx", 0) + _fixed(exponent)


def piecewise(alpha: float, exponent: float, slope: float, until: float) -> bytes:
    """The curve ((v + alpha - 1) / alpha)^exponent, and v / slope below `until`."""
    return b"para" + struct.pack(">4xHxx", 3) + _fixed(exponent, 1 / alpha, 1 - 1 / alpha, 1 / slope, until)


def tabulated(light: Sequence[int]) -> bytes:
    """The curve through these numbers, of which 65,535 is full light, at equal steps of v."""
    return b"curv" + struct.pack(f">4xI{len(light)}H", len(light), *light)


@lru_cache(maxsize=64)
def build_profile(space: Chromaticities | None, curves: tuple[bytes, ...]) -> bytes:
    """The profile of colours with these chromaticities, or of grey where there are none; one curve, or one a channel.

    Raises ValueError or ZeroDivisionError for chromaticities that no colours can have.
    """
    tags = {b"wtpt": _xyz(_D50)}
    if space is None:
        tags[b"kTRC"] = curves[0]
    else:
        columns = _columns(space)
        for c, letter in enumerate((b"r", b"g", b"b")):
            tags |= {letter + b"XYZ": _xyz(columns[:, c]), letter + b"TRC": curves[c % len(curves)]}
    place = 128 + 4 + 12 * len(tags)
    table, content = struct.pack(">I", len(tags)), b""
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, place + len(content), len(tag))
        content += tag + bytes(-len(tag) % 4)
    kind = b"GRAY" if space is None else b"RGB "
    header = struct.pack(">I4xI4s4s4s12x4s28x", place + len(content), 0x04300000, b"mntr", kind, b"XYZ ", b"acsp")
    return (header + _fixed(*_D50)).ljust(128, b"\0") + table + content


def _columns(space: Chromaticities) -> Float[np.ndarray, "3 3"]:
    if not np.isfinite(space).all():
        raise ValueError("chromaticities are numbers")
    white, *primaries = (np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in zip(space[::2], space[1::2], strict=True))
    stood = np.stack(primaries, axis=1)
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _D50 / (_BRADFORD @ white)) @ _BRADFORD
    columns: Float[np.ndarray, "3 3"] = adapted @ stood @ np.diag(np.linalg.solve(stood, white))
    if np.abs(columns).max() > 10 or np.linalg.det(columns) < 1e-4:
        raise ValueError("red, green and blue lie on one line")
    return columns


def _xyz(values: Any) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*values)


def _fixed(*values: float) -> bytes:
    """Numbers as the standard writes them, in steps of 1/65,536."""
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))
