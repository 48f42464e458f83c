"""Colour profiles made of curves and a matrix, in floating point.

Pillow's LittleCMS takes 8 bits. Images of 16 bits, often linear, would lose their dark tones to that before the profile
counts. With the curve t of each channel, the columns P of the profile and S of sRGB (XYZ, D50), and sRGB's encoding e:

    level = round(255 e(clip(S^-1 P t(v), 0, 1))),  v in 0..1
"""

import io
import struct
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Num, UInt8
from PIL import ImageCms

from twofold.data.profiles import UnknownProfileError, to_srgb

_SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
_STEPS = 2**16
EXACT_BYTES = 48  # a pixel, of floating-point copies
_COLOURS = ((b"rTRC", b"rXYZ"), (b"gTRC", b"gXYZ"), (b"bTRC", b"bXYZ"))
_COUNTS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}  # of a parametric curve's kind -> its parameters


@dataclass(frozen=True)
class ExactProfile:
    """From numbers of an RGB profile to levels of sRGB."""

    curves: Float[np.ndarray, "3 steps"]  # of 65,536 equal steps of a channel -> linear light
    matrix: Float[np.ndarray, "3 3"]  # linear light of the profile -> linear light of sRGB

    def levels(self, values: Num[np.ndarray, "h w 3"], low: float, high: float) -> UInt8[np.ndarray, "h w 3"]:
        """The levels of numbers, of which `low` is black and `high` is white."""
        shares = (values - np.float32(low)) / np.float32(high - low)
        steps = np.rint(np.clip(shares, 0, 1) * np.float32(_STEPS - 1)).astype(np.uint16)
        linear = np.stack([curve[steps[:, :, c]] for c, curve in enumerate(self.curves)], axis=2)
        light = np.clip(linear @ self.matrix.T, 0, 1)
        return _levels()[np.rint(light * np.float32(_STEPS - 1)).astype(np.uint16)]


@lru_cache(maxsize=16)
def exact_profile(profile: bytes) -> ExactProfile | None:
    """The curves and the matrix of an RGB profile.

    None where it is made of tables of colours, does not fit, or changes no level by more than one.
    """
    try:
        if to_srgb(profile, "RGB") is None:
            return None
        if ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.connection_space.strip() != "XYZ":
            return None
        tags = tags_of(profile)
        if b"A2B0" in tags:
            return None
        curves = np.stack([_curve(tags[curve]) for curve, _ in _COLOURS]).astype(np.float32)
        columns = np.stack([_xyz(tags[column]) for _, column in _COLOURS], axis=1)
    except (UnknownProfileError, KeyError, struct.error, ValueError, ZeroDivisionError):
        return None
    return ExactProfile(curves, (np.linalg.inv(_SRGB) @ columns).astype(np.float32))


def tags_of(profile: bytes) -> dict[bytes, bytes]:
    """The parts of a profile by name. Raises struct.error where it is too short."""
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = (struct.unpack_from(">4sII", profile, 132 + 12 * i) for i in range(min(count, 100)))
    return {name: profile[place : place + size] for name, place, size in entries}


def _xyz(tag: bytes) -> Float[np.ndarray, " 3"]:
    return np.array(struct.unpack_from(">iii", tag, 8)) / 65536


def _curve(tag: bytes) -> Float[np.ndarray, " steps"]:
    """A tone curve at equal steps of 0..1. Raises ValueError for a kind that the standard does not have."""
    x = np.linspace(0, 1, _STEPS)
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            return x
        if count == 1:
            return np.asarray(x ** (struct.unpack_from(">H", tag, 12)[0] / 256))
        table = np.frombuffer(tag, ">u2", count, 12) / 65535
        return np.interp(x, np.linspace(0, 1, count), table)
    if tag[:4] != b"para":
        raise ValueError("neither a table nor a formula")
    return np.clip(_formula(x, tag), 0, 1)


def _formula(x: Float[np.ndarray, " steps"], tag: bytes) -> Float[np.ndarray, " steps"]:
    """The parametric curves of the ICC standard: (a x + b)^g + e from d on, c x + f below it."""
    kind = struct.unpack_from(">H", tag, 8)[0]
    if kind not in _COUNTS:
        raise ValueError("an unknown formula")
    given = np.zeros(7)
    given[: _COUNTS[kind]] = np.array(struct.unpack_from(f">{_COUNTS[kind]}i", tag, 12)) / 65536
    g, a, b, c, d, e, f = given.tolist()
    if kind == 0:
        a = 1.0
    if kind in (1, 2):
        d, e, f, c = -b / a, c, c, 0.0
    return np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f)


@lru_cache(maxsize=1)
def _levels() -> UInt8[np.ndarray, " steps"]:
    light = np.linspace(0, 1, _STEPS)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)
