"""DICOM files: what their numbers mean, by pydicom, which is an extra."""

import importlib
import io
from typing import Any

import numpy as np
from jaxtyping import Num

from twofold.data.formats import PAGES, File, UnreadableError, load_extra
from twofold.data.samples import Samples

_BEGINS = 128  # bytes of anything, before the four letters that tell
_GROUPS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")  # where files of many frames tell of each frame
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
    used = range(frames if all_frames else 1)
    slopes, intercepts = (
        np.array([_number_of(data, f"Rescale{name}", frame, usual) for frame in used], np.float32)
        for name, usual in (("Slope", 1.0), ("Intercept", 0.0))
    )
    is_rescaled = not is_colour and bool((slopes != 1).any() or (intercepts != 0).any())
    held: list[np.ndarray] = []

    def read(top: int, bottom: int) -> Num[np.ndarray, "h w b"]:
        if not held:
            values = _pixels(data, kind, None if all_frames and frames > 1 else 0)
            values = values.transpose(1, 2, 0) if all_frames and frames > 1 and not is_colour else values
            values = values[:, :, None] if values.ndim == 2 else values
            held.append((values * slopes + intercepts) if is_rescaled else values)
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
        missing=None if padding is None or is_colour else float(padding * slopes[0] + intercepts[0]),
        window=None if is_colour else _window(data),
        held_bytes=8 * int(data.Columns) * int(data.Rows) * (frames if all_frames else 1),
        info={**_colours(data, is_colour=is_colour), **({PAGES: True} if frames > 1 and not all_frames else {})},
    )


def count_frames(file: File) -> int:
    """The frames of a DICOM file, by its header. Raises UnreadableError without the extra."""
    load_extra("pydicom", "dicom", "a DICOM")
    data: Any = importlib.import_module("pydicom").dcmread(file, stop_before_pixels=True)
    return int(data.get("NumberOfFrames") or 1)


def frame_alone(file: File, frame: int) -> bytes:
    """A frame, counted from 1, as a file of its own, unpacked. Raises UnreadableError as `open_dicom` does."""
    load_extra("pydicom", "dicom", "a DICOM")
    pydicom = importlib.import_module("pydicom")
    data: Any = pydicom.dcmread(file)
    kind = str(data.get("PhotometricInterpretation", "MONOCHROME2"))
    values = _pixels(data, kind, frame - 1)
    alone: Any = pydicom.Dataset()
    alone.Rows, alone.Columns = values.shape[:2]
    alone.SamplesPerPixel, alone.BitsAllocated = values.size // (alone.Rows * alone.Columns), 8 * values.itemsize
    alone.PhotometricInterpretation = "RGB" if kind in _COLOUR else kind
    alone.PixelRepresentation, alone.PlanarConfiguration = int(values.dtype.kind == "i"), 0
    alone.BitsStored = alone.BitsAllocated if kind in _COLOUR else data.BitsStored
    alone.HighBit = alone.BitsStored - 1
    for name in ("PixelPaddingValue", "RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth"):
        if (value := _told(data, name, frame - 1)) is not None:
            setattr(alone, name, value)
    alone.PixelData = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    alone["PixelData"].VR = "OW"
    alone.file_meta = pydicom.dataset.FileMetaDataset()
    alone.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    alone.preamble = bytes(_BEGINS)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, alone)
    return stream.getvalue()


def _told(data: Any, name: str, frame: int) -> Any:
    """What a file says, of all its frames or of one, counted from 0; None where it does not."""
    each = list(data.get("PerFrameFunctionalGroupsSequence") or [])[frame : frame + 1]
    groups = [*each, *(data.get("SharedFunctionalGroupsSequence") or [])]
    inside = [item for group in groups for place in _GROUPS for item in group.get(place) or []]
    return next((one.get(name) for one in (data, *inside) if one.get(name) is not None), None)


def _number_of(data: Any, name: str, frame: int, usual: float) -> float:
    value = _told(data, name, frame)
    return usual if value is None else float(value)


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


def _colours(data: Any, *, is_colour: bool) -> dict[str, Any]:
    """The profile of the file, or of its first optical path, as slides have it."""
    places = [data, *(data.get("OpticalPathSequence") or ())] if is_colour else []
    profile = next((bytes(place.ICCProfile) for place in places if place.get("ICCProfile")), None)
    return {"icc_profile": profile} if profile else {}


def _window(data: Any) -> tuple[float, float] | None:
    """Black and white of the first window that the file gives, in rescaled numbers."""
    center, width = (_first(_told(data, name, 0)) for name in ("WindowCenter", "WindowWidth"))
    return None if center is None or not width else (center - width / 2, center + width / 2)


def _first(value: Any) -> float | None:
    """A number, or the first of several; None where there is none."""
    values = value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
    return None if not values or values[0] in (None, "") else float(values[0])
