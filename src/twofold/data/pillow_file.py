"""A file that Pillow opens, with what Pillow does not pass on."""

from PIL import Image, UnidentifiedImageError

from twofold.data.formats import FORMATS, File, UnreadableError, reason_of
from twofold.data.header import header_info
from twofold.data.jpeg_2000 import LAYOUT, jpeg_2000_samples
from twofold.data.other_content import other_content
from twofold.data.samples import Samples


def open_by_pillow(file: File) -> Image.Image | Samples:
    """The image with its header read. Raises UnreadableError with what else it is, or what Pillow raises."""
    said = header_info(file)
    try:
        image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        if LAYOUT in said:
            raise UnreadableError(f"a JPEG 2000 of {said[LAYOUT].bands} bands is not read; save it as TIFF") from error
        file.seek(0)
        raise UnreadableError(other_content(file.read(2**16)) or reason_of(error)) from error
    image.info.update(said)
    return (jpeg_2000_samples(image) if LAYOUT in said else None) or image
