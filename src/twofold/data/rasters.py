"""Rasters that GDAL alone reads, by rasterio, which is an extra: deep JPEG 2000, Imagine, TIFF packed in rare ways."""

import importlib
import re
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Num
from PIL import Image

from twofold.data.formats import File, UnreadableError, is_installed, load_extra
from twofold.data.quiet import quiet
from twofold.data.samples import Samples, limits_of
from twofold.data.tiff_segments import NotReadError

_DRIVERS = {"GTiff": "TIFF", "JP2OpenJPEG": "JPEG2000", "HFA": "Imagine"}  # none that opens further files or addresses
_ALONE = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO"}  # nothing that lies beside the file

Opened = TypeVar("Opened", bound=Image.Image | Samples)


def is_imagine(head: bytes) -> bool:
    """Whether a file begins as those of ERDAS Imagine do."""
    return head.startswith(b"EHFA_HEADER_TAG")


def tiff_or_raster(file: File, open_tiff: Callable[[File], Opened]) -> Opened | Samples:
    """What `open_tiff` opens, or GDAL where it does not know how the pixels lie. Raises UnreadableError."""
    try:
        return open_tiff(file)
    except NotReadError as error:
        if not is_installed("rasterio"):
            raise UnreadableError(f"{error}, or read more kinds of TIFF: pip install 'twofold[geo]'") from error
        return open_raster(file, "a TIFF")


def open_raster(file: File, what: str) -> Samples:
    """All bands of `what` file, read at once when the first row is.

    Raises UnreadableError without the extra, and where GDAL fails.
    """
    rasterio = load_extra("rasterio", "geo", what)
    file.seek(0)
    content = file.read()

    def opened(use: Callable[[Any], Any]) -> Any:
        try:
            with (
                quiet(),
                rasterio.Env(**_ALONE),
                importlib.import_module("rasterio.io").MemoryFile(content) as memory,
                memory.open(driver=list(_DRIVERS)) as raster,
            ):
                return use(raster)
        except rasterio.errors.RasterioError as error:
            reason = re.sub(r"0x[0-9a-f]+", "0x", " ".join(str(error).split()))  # the same each time
            raise UnreadableError(f"GDAL does not read it ({reason[:200]})") from error

    form, size, dtypes, bits, kinds, nodata = opened(_header)
    kind = np.result_type(*dtypes)
    if kind.kind not in "uif":
        raise UnreadableError(f"its numbers are of the type {kind}, but pixels are integers or floats")
    colours = 3 if kinds[:3] == ["red", "green", "blue"] else 1
    held: list[np.ndarray] = []

    def read(top: int, bottom: int) -> Num[np.ndarray, "h w b"]:
        if not held:
            held.append(opened(lambda raster: raster.read(out_dtype=kind)).transpose(1, 2, 0))
        return held[0][top:bottom]

    return Samples(
        format=_DRIVERS[form],
        size=size,
        bits=int(bits or 8 * kind.itemsize),
        colours=colours,
        read=read,
        limits=limits_of(kind, int(bits or 8 * kind.itemsize)),
        alpha="straight" if kinds[colours : colours + 1] == ["alpha"] else None,
        further_bands=len(kinds) - colours,
        missing=nodata,
        held_bytes=size[0] * size[1] * len(kinds) * kind.itemsize,
    )


def _header(raster: Any) -> tuple[str, tuple[int, int], list[str], str | None, list[str], float | None]:
    """Driver, width and height, types of numbers, bits, what each band is, and what stands for no number."""
    size, bits = (raster.width, raster.height), raster.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
    nodata = next((float(number) for number in raster.nodatavals if number is not None), None)
    return raster.driver, size, list(raster.dtypes), bits, [kind.name for kind in raster.colorinterp], nodata
