"""NumPy files as images: .npy, and .npz of one array; a stack of images in one file is `sources.arrays`."""

import io
import zipfile
from typing import Any

import numpy as np
from jaxtyping import Num

from twofold.data.formats import File, UnreadableError
from twofold.data.samples import Samples, limits_of
from twofold.recipes.data import MOST_CHANNELS


def is_numpy(head: bytes) -> bool:
    """Whether a file begins as .npy or .npz does."""
    return head.startswith((b"\x93NUMPY", b"PK\3\4"))


def open_numpy(file: File) -> Samples:
    """One image, (H, W), (H, W, c) or (c, H, W), c being at most 32 and the shorter. Raises UnreadableError."""
    values = channels_last(_array_of(file))
    if values is None:
        raise UnreadableError("it holds a stack of images; give the file itself as the data")
    if values.dtype == bool:
        values = values.astype(np.uint8) * 255
    bits, bands = 8 * values.dtype.itemsize, values.shape[2]
    if values.dtype.kind not in "uif":
        raise UnreadableError(f"its numbers are of the type {values.dtype}, but pixels are integers or floats")
    height, width, _ = values.shape
    return Samples(
        format="NumPy",
        size=(width, height),
        bits=bits,
        colours=3 if bands in (3, 4) else 1,
        read=lambda top, bottom: values[top:bottom],
        limits=limits_of(values.dtype, bits),
        further_bands=bands - (3 if bands in (3, 4) else 1),
        held_bytes=values.nbytes,
    )


def channels_last(array: np.ndarray) -> Num[np.ndarray, "h w c"] | None:
    """One image with its channels last; None for a stack of images. Raises UnreadableError for other shapes."""
    if array.ndim == 2:
        return array[:, :, None]
    if array.ndim == 3:
        if array.shape[2] <= MOST_CHANNELS and array.shape[2] <= array.shape[0]:
            return array
        return array.transpose(1, 2, 0) if array.shape[0] <= MOST_CHANNELS else None
    if array.ndim == 4:
        return None
    raise UnreadableError(f"its shape is {array.shape}, but an image is (H, W), (H, W, channels) or (channels, H, W)")


def _array_of(file: File) -> np.ndarray:
    """Nothing in the file is run: arrays of objects are refused."""
    try:
        loaded: Any = np.load(io.BytesIO(file.read()), allow_pickle=False)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise UnreadableError(f"it cannot be read as a NumPy file ({error})") from error
    if isinstance(loaded, np.ndarray):
        return loaded
    names = loaded.files
    if len(names) != 1:
        raise UnreadableError(f"it holds {len(names)} arrays ({', '.join(names[:4])}), but an image is one")
    only: np.ndarray = loaded[names[0]]
    return only
