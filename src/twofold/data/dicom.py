"""DICOM files: what their numbers mean, by pydicom, which is an extra."""

import importlib
from typing import Any

import numpy as np
from jaxtyping import Num

from twofold.data.formats import PAGES, File, UnreadableError, load_extra
from twofold.data.samples import Samples

_BEGINS = 128  # bytes of anything, before the four letters that tell
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "PALETTE COLOR")


def is_dicom(file: File) -> bool:
    """Whether a file is DICOM, by its first bytes; it is back at its beginning afterwards."""
    head = file.read(_BEGINS + 4)
    file.seek(0)
    return head[_BEGINS:] == b"DICM"


def open_dicom(file: File, *, all_frames: bool = False) -> Samples:
    """The first frame, or all frames as bands; numbers are rescaled (slope v + intercept), such as to Hounsfield units.

    MONOCHROME1 is inverted, padding is missing, the window of the file is its own range. Raises UnreadableError without
    the extra, and for what it cannot unpack.
    """
    load_extra("pydicom", "dicom", "a DICOM")
    data: Any = importlib.import_module("pydicom").dcmread(file)
    if "PixelData" not in data:
        raise UnreadableError("the DICOM file holds no image")
    frames = int(data.get("NumberOfFrames") or 1)
    kind = str(data.get("PhotometricInterpretation", "MONOCHROME2"))
    is_colour = kind in _COLOUR
    bits, is_signed = int(data.BitsStored), bool(data.PixelRepresentation)
    slope, intercept = (float(data.get(f"Rescale{name}", usual)) for name, usual in (("Slope", 1), ("Intercept", 0)))
    is_rescaled = not is_colour and (slope, intercept) != (1.0, 0.0)
    held: list[np.ndarray] = []

    def read(top: int, bottom: int) -> Num[np.ndarray, "h w b"]:
        if not held:
            values = _pixels(data, kind, None if all_frames and frames > 1 else 0)
            values = values.transpose(1, 2, 0) if all_frames and frames > 1 and not is_colour else values
            values = values[:, :, None] if values.ndim == 2 else values
            held.append((values * np.float32(slope) + np.float32(intercept)) if is_rescaled else values)
        return held[0][top:bottom]

    whole = (0.0, 2.0**bits - 1) if not is_signed else (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1)
    padding = data.get("PixelPaddingValue")
    return Samples(
        format="DICOM",
        size=(int(data.Columns), int(data.Rows)),
        bits=8 if is_colour else bits,
        colours=3 if is_colour else 1,
        read=read,
        limits=(0.0, 255.0) if is_colour else None if is_rescaled else whole,
        further_bands=frames - 1 if all_frames and not is_colour else 0,
        is_inverted=kind == "MONOCHROME1",
        missing=None if padding is None or is_colour else float(padding) * slope + intercept,
        window=None if is_colour else _window(data),
        held_bytes=8 * int(data.Columns) * int(data.Rows) * (frames if all_frames else 1),
        info={PAGES: True} if frames > 1 and not all_frames else {},
    )


def _pixels(data: Any, kind: str, index: int | None) -> np.ndarray:
    pixels = importlib.import_module("pydicom.pixels")
    try:
        values: np.ndarray = pixels.pixel_array(data, index=index)
    except (RuntimeError, NotImplementedError, AttributeError, ValueError) as error:  # compressed in another way
        name = getattr(data.file_meta.TransferSyntaxUID, "name", "an unknown way")
        raise UnreadableError(f"its pixels are compressed by {name}, and cannot be unpacked ({error})") from error
    if kind != "PALETTE COLOR":
        return values
    shown: np.ndarray = pixels.apply_color_lut(values, data)
    return (shown >> 8).astype(np.uint8) if shown.dtype == np.uint16 else shown


def _window(data: Any) -> tuple[float, float] | None:
    """Black and white of the first window that the file gives, in rescaled numbers."""
    center, width = (_first(data.get(name)) for name in ("WindowCenter", "WindowWidth"))
    return None if center is None or not width else (center - width / 2, center + width / 2)


def _first(value: Any) -> float | None:
    """A number, or the first of several; None where there is none."""
    values = value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
    return None if not values or values[0] in (None, "") else float(values[0])
