"""Pixels as an array or a tensor: what their shape and their numbers mean."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped, UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor

from twofold.data.formats import UnreadableError
from twofold.data.samples import Samples

TAKEN = (
    "a path, the bytes of a file, an open file, a Pillow image, or pixels as an array (H, W), (H, W, c) or a tensor "
    "(c, H, W) with 1, 3 or 4 channels, uint8 in 0..255 or float in [0, 1]"
)
_CHANNELS = (1, 3, 4)  # grey, colour, colour with transparency


def as_pillow(image: Any) -> Image.Image:
    """The same image for Pillow, its numbers rounded to 8 bits. Raises UnreadableError for what is no image.

    A tensor is taken as (c, H, W), an array as (H, W, c), and the other way round where only that can be.
    """
    values = eight_bits(channels_last(numbers_of(image), is_tensor=isinstance(image, Tensor)))
    return Image.fromarray(np.ascontiguousarray(values[:, :, 0] if values.shape[2] == 1 else values))


def as_file(image: Any) -> bytes | None:
    """A uint16 image that passes 255, in grey or colour, as the content of a PGM or PPM file; None for all others.

    So all of its bits are kept until the range of a data set is known.
    """
    if getattr(image, "dtype", None) not in (np.uint16, torch.uint16):
        return None
    numbers = channels_last(numbers_of(image), is_tensor=isinstance(image, Tensor))
    height, width, bands = numbers.shape
    if bands not in (1, 3) or numbers.max() <= 255:
        return None
    magic = b"P5" if bands == 1 else b"P6"
    return magic + f"\n{width} {height}\n65535\n".encode() + numbers.astype(">u2").tobytes()


def as_samples(image: Any) -> Samples | None:
    """The same image with its numbers as they are, for a range to be applied; None for uint8 and bool."""
    numbers = channels_last(numbers_of(image), is_tensor=isinstance(image, Tensor))
    if numbers.dtype.kind not in "iuf" or numbers.dtype == np.uint8:
        return None
    height, width, bands = numbers.shape
    colours = 1 if bands == 1 else 3
    return Samples(
        format="memory",
        size=(width, height),
        bits=8 * numbers.dtype.itemsize,
        colours=colours,
        read=lambda top, bottom: numbers[top:bottom],
        limits=(0.0, 65535.0) if numbers.dtype == np.uint16 else None,
        alpha="straight" if bands > colours else None,
        further_bands=bands - colours,
    )


def numbers_of(image: Any) -> ndarray:
    """A tensor or an array as an array on the host."""
    if not isinstance(image, Tensor):
        return np.asarray(image)
    try:
        values = image.detach().cpu()
        return (values.float() if values.is_floating_point() else values).numpy()
    except (TypeError, RuntimeError) as error:  # sparse, quantised, without data
        raise UnreadableError(f"it is a tensor without plain pixels ({error})") from error


def channels_last(values: Shaped[ndarray, "..."], *, is_tensor: bool) -> Shaped[ndarray, "H W c"]:
    """Height, width, channels. Raises UnreadableError for other shapes."""
    shape = values.shape
    if values.ndim == 2 and values.size:
        return values[:, :, None]
    if values.ndim != 3 or not values.size or not {shape[0], shape[2]} & set(_CHANNELS):
        raise UnreadableError(f"it has the shape {tuple(shape)}; an image is {TAKEN}")
    first = shape[0] in _CHANNELS and (is_tensor or shape[2] not in _CHANNELS)
    return np.moveaxis(values, 0, 2) if first else values


def eight_bits(values: Shaped[ndarray, "H W c"]) -> UInt8[ndarray, "H W c"]:
    """Numbers of 0..255. Raises UnreadableError for numbers that mean no such range."""
    kind = values.dtype
    if kind.kind not in "biuf":
        raise UnreadableError(f"its numbers are of the type {kind}; an image is {TAKEN}")
    if kind == np.uint8:
        return values
    low, high = values.min(), values.max()
    if kind == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if kind == np.uint16 and not 0 < high <= 255:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if kind.kind == "f" and 255 * float(low) >= -0.5 and 255 * float(high) <= 255.5:
        return np.rint(np.clip(values.astype(np.float64), 0, 1) * 255).astype(np.uint8)
    if kind.kind in "iu" and kind != np.uint16 and low >= 0 and high <= 255:
        return values.astype(np.uint8)
    rule = "float in [0, 1], whole numbers in 0..255, or uint16 in 0..65535 that passes 255"
    raise UnreadableError(f"its numbers are {kind} from {low:g} to {high:g}; they must be {rule}")
