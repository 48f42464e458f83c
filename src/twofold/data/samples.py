"""Images whose numbers are more than 8 bits, or more than colour and transparency: their samples, strip by strip.

One intensity range makes 8 bits of them: round(255 (v - low) / (high - low)), cut off at both ends.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Num, UInt8
from PIL import Image

from twofold.data.exact_profile import ExactProfile
from twofold.data.formats import NO_DATA, UnreadableError

Range = tuple[float, ...]  # low, high; or such a pair for each channel
PERCENTILES = (0.1, 99.9)  # of the values, that become black and white
_LOOKED_AT = 2**14  # pixels of an image that tell its range and its transparency
_OPAQUE_OR_NOT = 0.5  # share of a band's values that are 0 or the largest one, where it is transparency


@dataclass(frozen=True, kw_only=True)
class Samples:
    """An image as numbers: `read(top, bottom)` gives rows of (width, bands), colours first, then transparency."""

    format: str
    size: tuple[int, int]  # width, height, as stored
    bits: int  # of a sample
    colours: int  # 1 (grey) or 3
    read: Callable[[int, int], Num[np.ndarray, "h w b"]]
    limits: tuple[float, float] | None  # the smallest and largest number of the type, where that is a range to show
    alpha: Literal["straight", "premultiplied"] | None = None  # what the file says of the band after the colours
    alpha_is_sure: bool = False  # the format has no other use for that band, as PNG
    further_bands: int = 0  # beyond the colours, as stored
    read_bands: Callable[[int, int], Num[np.ndarray, "h w b"]] | None = None  # all of them, where `read` gives fewer
    is_inverted: bool = False  # the smallest number is white
    window: Range | None = None  # what the file itself gives as black and white
    missing: float | None = None  # the number that stands for none
    orientation: int = 1  # as in EXIF
    held_bytes: int = 0  # that reading holds at once
    info: Mapping[Any, Any] = field(default_factory=dict)  # as Pillow has it

    @property
    def is_deep(self) -> bool:
        """Whether a range is needed: all but unsigned numbers of 8 bits."""
        return self.limits != (0, 255)

    @property
    def strip_bytes(self) -> int:
        """What scaling takes for a pixel of a strip: floating-point copies, but for integers of 16 bits."""
        return 60 if self.limits is None else 24

    def sample(self) -> Num[np.ndarray, "m b"]:
        """The samples of some pixels, evenly spread, the same ones each time."""
        width, height = self.size
        step = max(1, int((width * height / _LOOKED_AT) ** 0.5))
        pixels = np.concatenate([strip[::step, ::step].copy() for strip in self._strips(step)])
        return pixels.reshape(-1, pixels.shape[2])

    def _strips(self, step: int = 1) -> Iterator[Num[np.ndarray, "h w b"]]:
        """All rows, about a million pixels at a time, a multiple of `step` rows."""
        width, height = self.size
        rows = max(step, 2**20 // width // step * step)
        return (self.read(top, min(top + rows, height)) for top in range(0, height, rows))

    def is_transparent(self) -> bool:
        """Whether the file says that a band is transparency, and its values do too.

        In a TIFF other bands, such as near-infrared, are often marked as transparency in error. Transparency is mostly
        all or nothing, not zero everywhere, and premultiplied colours are never above it.
        """
        if self.alpha is None or self.limits is None:
            return False
        top = self.limits[1]
        if self.alpha_is_sure:
            return any((strip[:, :, self.colours] < top).any() for strip in self._strips())
        pixels = self.sample()
        band, colours = pixels[:, self.colours], pixels[:, : self.colours]
        is_mask = np.mean((band == 0) | (band == top)) >= _OPAQUE_OR_NOT and band.any()
        return bool(is_mask and (self.alpha == "straight" or (colours <= band[:, None]).all()))


def limits_of(kind: np.dtype[Any], bits: int) -> tuple[float, float] | None:
    """The smallest and the largest of whole numbers of up to 16 bits; None for other numbers."""
    if kind.kind not in "ui" or bits > 16:
        return None
    return (0.0, 2.0**bits - 1) if kind.kind == "u" else (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1)


def require_range(samples: Samples, given: Range | None) -> Range:
    """The range that is given, else the whole range of the type. Raises UnreadableError where there is none."""
    if given is None and samples.limits is None:
        raise UnreadableError(
            f"its numbers of {samples.bits} bits have no agreed range; give the numbers that become black and white: "
            "--range LOW HIGH"
        )
    return given or samples.limits or (0.0, 1.0)


def own_range(samples: Samples) -> Range:
    """The window that a file gives, else the percentiles of one image alone, over all its colours.

    Raises UnreadableError where none of its pixels has one.
    """
    if samples.window is not None:
        return samples.window
    pixels = samples.sample()[:, : samples.colours]
    values = pixels[~is_missing(pixels, samples.missing)]
    if not values.size:
        raise UnreadableError(NO_DATA)
    return spread(np.percentile(values.astype(np.float64), PERCENTILES))


def spread(ends: Num[np.ndarray, " 2"]) -> Range:
    """Low and high as plain numbers, with high above low."""
    low, high = float(ends[0]), float(ends[1])
    return (low, high) if high > low else (low, low + max(1.0, abs(low)))


def is_missing(values: Num[np.ndarray, "*n b"], number: float | None) -> Bool[np.ndarray, "*n b"]:
    """Where a value is no finite number, or the one that stands for none.

    Of values of one byte a single band is 0 or 255 by chance, so there all bands of a pixel have to be that number.
    """
    missing = ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    if number is None or not np.isfinite(number):
        return missing
    if values.dtype.kind != "f" and not (number == int(number) and _can_hold(values.dtype, int(number))):
        return missing
    is_number = values == values.dtype.type(number)  # as rounded: a float is often written with too few digits
    return missing | (is_number.all(axis=-1, keepdims=True) if values.dtype.itemsize == 1 else is_number)


def _can_hold(kind: np.dtype[Any], number: int) -> bool:
    return bool(np.iinfo(kind).min <= number <= np.iinfo(kind).max)


class Seen:
    """Over the strips of an image: the smallest and the largest value, and how many there are and are missing."""

    def __init__(self) -> None:
        self.low, self.high, self.missing, self.count = np.inf, -np.inf, 0, 0

    @property
    def missing_percent(self) -> int:
        """The share of the values that are missing, in whole percent, rounded up."""
        return -(-100 * self.missing // max(1, self.count))

    def add(self, values: Num[np.ndarray, "..."], missing: Bool[np.ndarray, "..."]) -> None:
        """Take another strip into account."""
        self.missing, self.count = self.missing + int(missing.sum()), self.count + missing.size
        there = values[~missing] if missing.any() else values
        if there.size:
            self.low, self.high = min(self.low, float(there.min())), max(self.high, float(there.max()))

    def require_data(self) -> None:
        """Raises UnreadableError where all values are missing."""
        if self.count and self.missing == self.count:
            raise UnreadableError(NO_DATA)

    def require_contrast(self) -> None:
        """Raises UnreadableError where all values are the same."""
        if self.low == self.high:
            raise UnreadableError(f"it is blank: every pixel is {self.low:g}")

    def require_inside(self, range_: Range) -> None:
        """Raises UnreadableError where all values lie on one side of the range, and would become black or white."""
        low, high = min(range_[::2]), max(range_[1::2])
        if self.high <= low or self.low >= high:
            raise UnreadableError(
                f"its values, {self.low:g} to {self.high:g}, lie outside the range {low:g} to {high:g} that is shown; "
                "give a wider --range, or --range-from image"
            )


def eight_bits(
    samples: Samples,
    top: int,
    bottom: int,
    range_: Range,
    transparent: bool,
    seen: Seen,
    profile: ExactProfile | None = None,
) -> Image.Image:
    """Some rows as an image of mode L or RGB, with transparency LA or RGBA; with a `profile`, in sRGB."""
    values = samples.read(top, bottom)
    colours = values[:, :, : samples.colours]
    if samples.is_deep:
        missing = is_missing(colours, samples.missing)
        seen.add(colours, missing)
        if transparent and samples.alpha == "premultiplied":
            colours = _divided(colours, values[:, :, samples.colours], samples.limits)
        if len(range_) > 2 and colours.shape[2] == 1:
            colours, missing = colours.repeat(3, axis=2), missing.repeat(3, axis=2)
        shown = scale(colours, range_) if profile is None else profile.levels(colours, *range_)
    else:
        missing = is_missing(colours, samples.missing)
        seen.add(colours, missing)
        shown = (
            colours
            if not transparent or samples.alpha == "straight"
            else _divided(colours, values[:, :, samples.colours], (0.0, 255.0))
        )
    if samples.is_inverted:
        shown = 255 - shown
    if missing.any():
        shown = np.where(missing, np.uint8(0), shown)
    if transparent:
        assert samples.limits is not None
        band = scale(values[:, :, samples.colours, None], samples.limits)
        shown = np.concatenate([shown, band], axis=2)
    return Image.fromarray(np.ascontiguousarray(shown[:, :, 0] if shown.shape[2] == 1 else shown))


def scale(values: Num[np.ndarray, "h w c"], range_: Range) -> UInt8[np.ndarray, "h w c"]:
    """round(255 (v - low) / (high - low)) in 0..255, with a pair of each channel's own where there are several."""
    if values.dtype == np.uint8 and range_ == (0, 255):
        return values
    if len(range_) > 2:
        return np.concatenate(
            [scale(values[:, :, [c]], range_[2 * c : 2 * c + 2]) for c in range(values.shape[2])], axis=2
        )
    if values.dtype == np.uint16:
        return _table(*range_)[values]
    return _scaled(values, *range_)


@lru_cache(maxsize=16)
def _table(low: float, high: float) -> UInt8[np.ndarray, " 65536"]:
    return _scaled(np.arange(2**16), low, high)


def _scaled(values: Num[np.ndarray, "..."], low: float, high: float) -> UInt8[np.ndarray, "..."]:
    shown = values.astype(np.float64)  # changed in place: strips are large
    with np.errstate(invalid="ignore", over="ignore"):
        shown -= low
        shown *= 255 / (high - low)
    np.nan_to_num(shown, copy=False)
    np.clip(shown, 0, 255, out=shown)
    return np.rint(shown, out=shown).astype(np.uint8)


def _divided(
    colours: Num[np.ndarray, "h w c"], band: Num[np.ndarray, "h w"], limits: tuple[float, float] | None
) -> Num[np.ndarray, "h w c"]:
    """Colours as they were before they were multiplied by their transparency."""
    top = (limits or (0.0, 255.0))[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        divided = np.nan_to_num(colours * (top / band[:, :, None]))
    return np.rint(np.clip(divided, 0, top)).astype(colours.dtype)
