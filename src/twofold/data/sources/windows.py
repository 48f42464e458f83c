"""Windows of a large image: of a TIFF by its own tiles, of a slide by OpenSlide, of other formats once decoded."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Num
from PIL import Image

from twofold.data.colour_space import Colours, colours_of
from twofold.data.formats import File, UnreadableError, head_of, is_tiff, orientation_of
from twofold.data.quiet import quiet
from twofold.data.readers import open_image
from twofold.data.record import OnDisk, Source
from twofold.data.samples import Samples
from twofold.data.slide_windows import SlideWindows, is_slide
from twofold.data.sources.pages import PagedSource
from twofold.data.tiff_windows import TiffWindows


@runtime_checkable
class Windows(Protocol):
    """An image that is read window by window."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        ...

    @property
    def colours(self) -> int:
        """1 (grey) or 3; other bands come after them."""
        ...

    @property
    def missing(self) -> float | None:
        """The number that stands for none."""
        ...

    @property
    def micrometres_per_px(self) -> float | None:
        """The size of a pixel, where the file says it."""
        ...

    @property
    def said(self) -> Colours:
        """What the file says of its colours: windows are numbers, not yet brought to sRGB."""
        ...

    @property
    def orientation(self) -> int:
        """As in EXIF: a window is in pixels of the file, which may lie on a side."""
        ...

    def read(self, x: int, y: int, w: int, h: int, *, shrink: float = 1.0) -> Num[np.ndarray, "h w b"]:
        """A window in pixels of the whole image, at most `shrink` times smaller where the file has smaller copies."""
        ...


def open_windows(source: Source, index: int) -> Windows:
    """The windows of an image of a source. Raises UnreadableError, OSError or what Pillow raises."""
    path = source.records[index].path
    if is_slide(path):
        place = source.path_of(index) if isinstance(source, OnDisk) else None
        if place is None:
            raise UnreadableError("it is a slide, which OpenSlide reads as a file of its own; unpack or copy it")
        return SlideWindows(place)
    paged, at = (source, index), None
    if isinstance(source, PagedSource):
        source, page = source.place(index)
        index, at = page.number, page.at or None

    def opened() -> File:
        file = source.open(index)
        if isinstance(file, Image.Image):
            raise UnreadableError("it was decoded elsewhere")
        return file

    with quiet():
        try:
            with opened() as file:
                is_file_of_tiles = is_tiff(head_of(file))
            if is_file_of_tiles:
                return TiffWindows(opened, at)
        except UnreadableError:
            pass  # another reader may know it as a whole
        return PlainWindows(*paged)


class PlainWindows:
    """Windows of an image that is decoded as a whole."""

    def __init__(self, source: Source, index: int) -> None:
        opened = open_image(source.read(index))
        info = opened.info
        if isinstance(opened, Samples):
            values = (opened.read_bands or opened.read)(0, opened.size[1])
            self.colours, self.missing, self.orientation = opened.colours, opened.missing, opened.orientation
            if opened.is_inverted:
                ends = sum(opened.limits or (0.0, 0.0))
                values = (ends - values).astype(values.dtype)
                self.missing = None if self.missing is None else ends - self.missing
        else:
            grey = opened.mode in ("1", "L", "LA")
            self.orientation = orientation_of(opened)
            if opened.has_transparency_data:
                straight = opened.convert("RGBA")
                opened = Image.alpha_composite(Image.new("RGBA", straight.size, "white"), straight)
            values = np.asarray(opened.convert("L" if grey else "RGB"))
            values = values[:, :, None] if grey else values
            self.colours, self.missing = values.shape[2], None
        self.said = colours_of(info, is_grey=self.colours == 1)
        self.size, self.micrometres_per_px = opened.size, None
        self._values = values

    def read(self, x: int, y: int, w: int, h: int, *, shrink: float = 1.0) -> Num[np.ndarray, "h w b"]:  # noqa: ARG002
        """A window, never smaller."""
        return self._values[y : y + h, x : x + w]
