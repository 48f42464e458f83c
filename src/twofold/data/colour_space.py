"""Which colours the numbers of an image mean, by what its file says: a profile, or the numbers that stand for one.

The order is that of PNG's third edition: code points of ITU-T H.273 (cICP), a profile, sRGB by name, gamma and
chromaticities. A TIFF's tables and the word of EXIF on Adobe RGB come last.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from twofold.data.built_profile import Chromaticities, build_profile, piecewise, power, tabulated
from twofold.data.exact_profile import tags_of

CODE_POINTS = "cicp"  # in an image's info: primaries, transfer, matrix, full range, as H.273 numbers them
LIGHT = "light"  # in an image's info: tables of a TIFF, of 2^bits numbers each, from a number to its light

D65, BT_709 = (0.3127, 0.3290), (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # white; red, green and blue
_C = (0.310, 0.316)
_SRGB = (*D65, *BT_709)
_ADOBE_RGB = (*D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
_PRIMARIES: dict[int, Chromaticities] = {  # H.273, table 2
    1: _SRGB,
    2: _SRGB,  # not specified
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
_SRGB_CURVE = piecewise(1.055, 2.4, 12.92, 0.04045)
_VIDEO = piecewise(1.099297, 1 / 0.45, 4.5, 0.081243)
_CURVES = {  # H.273, table 3: the inverse of each transfer
    1: _VIDEO,
    2: _SRGB_CURVE,  # not specified
    4: power(2.2),
    5: power(2.8),
    6: _VIDEO,
    7: piecewise(1.1115, 1 / 0.45, 4.0, 0.0913),
    8: power(1.0),
    11: _VIDEO,
    12: _VIDEO,
    13: _SRGB_CURVE,
    14: _VIDEO,
    15: _VIDEO,
}
_HDR = (16, 18)  # PQ and HLG
_UNKNOWN = b"colours that are not known here"  # in place of a profile: nothing reads it
_NEARLY_22 = 0.05  # a gamma this near to 1 / 2.2, as a share of it, means sRGB, as for libpng
_NEARLY = 0.002  # of a chromaticity
_EXIF, _SPACE, _OPTIONS = 0x8769, 0xA001, 0xA005  # EXIF's own directory in the file's; a colour space, options in it
_NOT_SRGB = (2, 0xFFFF)  # as EXIF's colour space: as some cameras name Adobe RGB; any other


@dataclass(frozen=True, slots=True)
class Colours:
    """What numbers mean: by a profile, None for sRGB; and whether they hold light beyond white (PQ, HLG)."""

    profile: bytes | None = None
    is_hdr: bool = False

    @property
    def info(self) -> dict[str, Any]:
        """The same for another image, as its info."""
        profile = {} if self.profile is None else {"icc_profile": self.profile}
        return profile | ({CODE_POINTS: (2, _HDR[0], 0, 1)} if self.is_hdr else {})


def colours_of(info: Mapping[Any, Any], *, is_grey: bool) -> Colours:
    """The colours of an image of grey or RGB by its info, as Pillow and `header` fill it.

    Where what a file says is not known or cannot be, the profile is one that nothing reads.
    """
    points = info.get(CODE_POINTS)
    is_hdr = points is not None and points[1] in _HDR
    if points is not None and not is_hdr and tuple(points[:2]) != (2, 2):
        return Colours(_of_points(points, is_grey))
    given = info.get("icc_profile", b"")
    if given or given is None:  # None: Pillow could not unpack it
        return Colours(given or _UNKNOWN, is_hdr or (given is not None and _holds_hdr(given)))
    return Colours(None if is_hdr or "srgb" in info else _of_numbers(info, is_grey), is_hdr)


def _of_points(points: tuple[int, ...], is_grey: bool) -> bytes | None:
    space, curve = _PRIMARIES.get(points[0]), _CURVES.get(points[1])
    if space is None or curve is None or not points[3]:
        return _UNKNOWN
    return _built(space, (curve,), is_grey)


def _of_numbers(info: Mapping[Any, Any], is_grey: bool) -> bytes | None:
    space, gamma, light = info.get("chromaticity"), info.get("gamma"), info.get(LIGHT)
    try:
        curves = tuple(map(tabulated, light)) if light else (_SRGB_CURVE if gamma is None else _of_gamma(gamma),)
        if space or curves != (_SRGB_CURVE,):
            return _built(space or _SRGB, curves, is_grey)
    except (ValueError, ZeroDivisionError, struct.error):
        return _UNKNOWN
    exif = info.get("exif")
    return _of_exif(exif.removeprefix(b"Exif\0\0"), is_grey) if isinstance(exif, bytes) else None


def _of_exif(exif: bytes, is_grey: bool) -> bytes | None:
    """Cameras name Adobe RGB by an option of DCF, R03, beside a colour space that is not sRGB."""
    order = ">" if exif.startswith(b"MM") else "<"
    try:
        own = _entries(exif, order, _entries(exif, order, struct.unpack_from(f"{order}I", exif, 4)[0])[_EXIF])
        if own[_SPACE] >> (16 if order == ">" else 0) not in _NOT_SRGB:
            return None
    except (KeyError, struct.error):  # nothing is said, or metadata are broken around whole pixels
        return None
    try:
        option = struct.pack(f"{order}I", _entries(exif, order, own[_OPTIONS])[1])
    except (KeyError, struct.error):
        option = b""
    return _built(_ADOBE_RGB, (power(563 / 256),), is_grey) if option.startswith(b"R03") else _UNKNOWN


def _entries(exif: bytes, order: str, place: int) -> dict[int, int]:
    """The tags of a directory, each with the four bytes of its value. Raises struct.error where it is cut off."""
    (count,) = struct.unpack_from(f"{order}H", exif, place)
    return {tag: value for tag, _, _, value in struct.iter_unpack(f"{order}HHII", exif[place + 2 :][: 12 * count])}


def _of_gamma(gamma: float) -> bytes:
    """PNG's gamma is that of the encoding: v = light^gamma."""
    return _SRGB_CURVE if abs(2.2 * gamma - 1) <= _NEARLY_22 else power(1 / gamma)


def _built(space: Chromaticities, curves: tuple[bytes, ...], is_grey: bool) -> bytes | None:
    """None where that is sRGB. Raises as `build_profile` does."""
    is_srgb = is_grey or bool(np.allclose(space, _SRGB, rtol=0, atol=_NEARLY))
    if is_srgb and curves == (_SRGB_CURVE,):
        return None
    return build_profile(None if is_grey else _SRGB if is_srgb else tuple(space), curves)


@lru_cache(maxsize=64)
def _holds_hdr(profile: bytes) -> bool:
    """Whether a profile has the code points of PQ or HLG in it."""
    try:
        return tags_of(profile)[b"cicp"][9] in _HDR
    except (KeyError, IndexError, struct.error):
        return False
