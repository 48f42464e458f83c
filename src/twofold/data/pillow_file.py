"""A file that Pillow opens, with what Pillow does not pass on."""

from dataclasses import replace
from typing import Any

from PIL import Image, UnidentifiedImageError

from twofold.data.formats import FORMATS, File, UnreadableError, reason_of
from twofold.data.header import header_info
from twofold.data.jpeg_2000 import LAYOUT, jpeg_2000_samples
from twofold.data.other_content import other_content
from twofold.data.rasters import open_raster
from twofold.data.samples import Samples


def open_by_pillow(file: File) -> Image.Image | Samples:
    """The image with its header read. Raises UnreadableError with what else it is, or what Pillow raises."""
    said = header_info(file)
    if LAYOUT in said and said[LAYOUT].is_for_gdal:
        return _coloured(open_raster(file, "a JPEG 2000"), said)
    try:
        image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        file.seek(0)
        raise UnreadableError(other_content(file.read(2**16)) or reason_of(error)) from error
    image.info.update(said)
    return (jpeg_2000_samples(image) if LAYOUT in said else None) or image


def _coloured(samples: Samples, said: dict[str, Any]) -> Samples:
    """With the colours that the header names; three bands that nothing is said of are red, green and blue."""
    if samples.colours == 1 and samples.further_bands == 2:
        samples = replace(samples, colours=3, further_bands=0)
    return replace(samples, info=said)
