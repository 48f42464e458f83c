"""Images as people hand them over: a file in any form, a Pillow image, or pixels as an array or a tensor."""

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Set
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor

from twofold.data import Rules, UnreadableError, decode
from twofold.data.arrays import TAKEN, as_pillow, as_samples
from twofold.data.samples import Samples
from twofold.data.sources.reach import read_regular
from twofold.errors import TwofoldError

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
    raise TwofoldError(f"images is {given}, but it must be one image or a sequence of them: {TAKEN}. Give a list.")


def read_image(image: Any, place: int, rules: Rules) -> UInt8[ndarray, "H W c"]:
    """The pixels of an image in any form, by the rules by which those of a file are read (`decode`).

    A tensor is taken as (c, H, W), an array as (H, W, c), and the other way round where only that can be. Numbers are
    rounded to 8 bits: float in [0, 1], bool, whole numbers in 0..255, uint16 in 0..65535 as in files of 16 bits. Where
    `rules` have a range, all numbers but uint8 and bool are those of the files that it was measured on.
    Raises TwofoldError, which names the image and its `place` in the sequence, for anything else.
    """
    try:
        if isinstance(image, Image.Image):
            with _shared:
                known = image.convert("LA") if image.mode == "La" else image  # Pillow converts it to nothing else
                return decode(known, rules).pixels
        return decode(_content(image, rules), rules).pixels
    except (UnreadableError, OSError, ValueError) as error:
        name = f"'{image}'" if isinstance(image, str | PathLike) else "the image"
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TwofoldError(
            f"{name} at place {place} (counted from 0) cannot be read: {reason}. Leave it out or fix it."
        ) from error


def _content(image: Any, rules: Rules) -> bytes | Image.Image | Samples:
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
        deep = as_samples(image) if rules.range is not None else None
        return as_pillow(image) if deep is None else deep
    raise UnreadableError(f"it is of the type {type(image).__name__}; an image is {TAKEN}")


def _read(file: Any) -> bytes:
    """All of an open file, from its beginning where it can go back there."""
    with _shared:
        if getattr(file, "seekable", bool)():
            file.seek(0)
        content = file.read()
    if not isinstance(content, bytes):
        raise UnreadableError("reading it gives no bytes; open a file with mode 'rb'")
    return content
