"""Images as people hand them over: a file in any form, a Pillow image, or pixels as an array or a tensor."""

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Set
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor

from twofold.data import UnreadableError, decode
from twofold.data.sources.reach import read_regular
from twofold.errors import TwofoldError

_TAKEN = (
    "a path, the bytes of a file, an open file, a Pillow image, or pixels as an array (H, W), (H, W, c) or a tensor "
    "(c, H, W) with 1, 3 or 4 channels, uint8 in 0..255 or float in [0, 1]"
)
_CHANNELS = (1, 3, 4)  # grey, colour, colour with transparency
_FILES = (str, PathLike, bytes, bytearray, memoryview, Image.Image)
_shared = threading.Lock()  # the same Pillow image or open file may be handed over twice, and neither bears two readers


def one_by_one(images: object) -> Iterator[Any]:
    """The images of a sequence, an iterator, or a batch (n, H, W, c) or (n, c, H, W); one image counts as one of them.

    Raises TwofoldError for what is neither one image nor several.
    """
    if isinstance(images, _FILES) or hasattr(images, "read"):
        return iter([images])
    if hasattr(images, "__array__"):
        pixels: Any = images if isinstance(images, Tensor) else np.asarray(images)
        if pixels.ndim in (2, 3):
            return iter([pixels])
        if pixels.ndim == 4 or (pixels.ndim == 1 and pixels.dtype.kind in "OU"):
            return iter(pixels)
        given = f"an array of shape {tuple(pixels.shape)}"
    elif isinstance(images, Iterable) and not isinstance(images, Mapping | Set):
        return iter(images)
    else:
        given = f"of the type {type(images).__name__}"
    raise TwofoldError(f"images is {given}, but it must be one image or a sequence of them: {_TAKEN}. Give a list.")


def read_image(image: Any, place: int, *, channels: int, short_px: int) -> UInt8[ndarray, "H W {channels}"]:
    """The pixels of an image in any form, by the rules by which those of a file are read (`decode`).

    A tensor is taken as (c, H, W), an array as (H, W, c), and the other way round where only that can be. Numbers are
    rounded to 8 bits: float in [0, 1], bool, whole numbers in 0..255, uint16 in 0..65535 as in files of 16 bits.
    Raises TwofoldError, which names the image and its `place` in the sequence, for anything else.
    """
    try:
        if isinstance(image, Image.Image):
            with _shared:
                known = image.convert("LA") if image.mode == "La" else image  # Pillow converts it to nothing else
                return decode(known, channels=channels, short_px=short_px)
        return decode(_content(image), channels=channels, short_px=short_px)
    except (UnreadableError, OSError, ValueError) as error:
        name = f"'{image}'" if isinstance(image, str | PathLike) else "the image"
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TwofoldError(
            f"{name} at place {place} (counted from 0) cannot be read: {reason}. Leave it out or mend it."
        ) from error


def _content(image: Any) -> bytes | Image.Image:
    """What `decode` takes, so that every form of an image goes the way of a file."""
    if isinstance(image, str | PathLike):
        path = Path(os.fsdecode(image))
        if path.is_dir():
            raise UnreadableError("it is a folder; list its files, as in sorted(Path(folder).iterdir())")
        return read_regular(path)
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if hasattr(image, "read"):
        return _read(image)
    if hasattr(image, "__array__"):
        return _as_pillow(image)
    raise UnreadableError(f"it is of the type {type(image).__name__}; an image is {_TAKEN}")


def _read(file: Any) -> bytes:
    """All of an open file, from its beginning where it can go back there."""
    with _shared:
        if getattr(file, "seekable", bool)():
            file.seek(0)
        content = file.read()
    if not isinstance(content, bytes):
        raise UnreadableError("reading it gives no bytes; open a file with mode 'rb'")
    return content


def _as_pillow(image: Any) -> Image.Image:
    values = _eight_bits(_channels_last(_numbers(image), is_tensor=isinstance(image, Tensor)))
    return Image.fromarray(np.ascontiguousarray(values[:, :, 0] if values.shape[2] == 1 else values))


def _numbers(image: Any) -> ndarray:
    if not isinstance(image, Tensor):
        return np.asarray(image)
    try:
        values = image.detach().cpu()
        return (values.float() if values.is_floating_point() else values).numpy()
    except (TypeError, RuntimeError) as error:  # sparse, quantised, without data
        raise UnreadableError(f"it is a tensor that holds no plain pixels ({error})") from error


def _channels_last(values: Shaped[ndarray, "..."], *, is_tensor: bool) -> Shaped[ndarray, "H W c"]:
    shape = values.shape
    if values.ndim == 2 and values.size:
        return values[:, :, None]
    if values.ndim != 3 or not values.size or not {shape[0], shape[2]} & set(_CHANNELS):
        raise UnreadableError(f"it has the shape {tuple(shape)}; an image is {_TAKEN}")
    first = shape[0] in _CHANNELS and (is_tensor or shape[2] not in _CHANNELS)
    return np.moveaxis(values, 0, 2) if first else values


def _eight_bits(values: Shaped[ndarray, "H W c"]) -> UInt8[ndarray, "H W c"]:
    kind = values.dtype
    if kind.kind not in "biuf":
        raise UnreadableError(f"its numbers are of the type {kind}; an image is {_TAKEN}")
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
