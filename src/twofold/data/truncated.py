"""JPEGs that end early: the rows that are there."""

import io

import numpy as np
from PIL import Image

from twofold.data.formats import UnreadableError

_END = b"\xff\xd9"
_WITHOUT_LENGTH = {0x00, 0xFF, *range(0xD0, 0xDA)}  # bytes of pixels after 0xFF, and markers that stand alone
_FILLER = bytes(range(1, 255)) * 8  # anything that is no marker


def rows_there(content: bytes, draft: tuple[int, int] | None) -> tuple[Image.Image, bool]:
    """What a JPEG without its end holds, and whether any pixel is missing; a missing end marker is no damage.

    The file is decoded with two endings put on. Where rows differ, their pixels came from the ending. Of a progressive
    JPEG all rows are there, in less detail. `draft` is the size that is enough. Raises UnreadableError where nothing is
    there, and whatever Pillow raises for a header that is cut.
    """
    content = content.rstrip(b"\0")  # in place of what was not copied
    end = _end_of_segments(content)
    is_cut, content = end < len(content), content[:end]
    image, other = (_decoded(content + filler + _END, draft) for filler in (b"", _FILLER))
    first, second = np.asarray(image), np.asarray(other)
    differs = (first != second).reshape(len(first), -1).any(axis=1)
    if not differs.any():
        return image, is_cut
    if image.info.get("progressive"):
        return image, True
    rows = int(differs.argmax())
    if rows == 0:
        raise UnreadableError("the file is truncated: it ends before the first row of pixels")
    part = image.crop((0, 0, image.width, rows))
    part.info = image.info
    return part, True


def _end_of_segments(content: bytes) -> int:
    """Where the last segment that is whole ends: all of the file, where it ends among the pixels of a scan."""
    place = content.find(b"\xff", 2)
    while 0 <= place < len(content) - 1:
        marker = content[place + 1]
        if marker in _WITHOUT_LENGTH:
            place = content.find(b"\xff", place + 2)
            continue
        length = int.from_bytes(content[place + 2 : place + 4], "big")
        if place + 4 > len(content) or place + 2 + length > len(content):
            return place
        place = content.find(b"\xff", place + 2 + length)
    return len(content)


def _decoded(content: bytes, draft: tuple[int, int] | None) -> Image.Image:
    image = Image.open(io.BytesIO(content), formats=("JPEG",))
    if draft is not None:
        image.draft(None, draft)
    image.load()
    return image
