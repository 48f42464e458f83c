"""Windows of a TIFF of any size, such as a slide or an orthophoto, by its tiles: from the whole or a smaller copy."""

import io
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

import numpy as np
from jaxtyping import Num
from PIL import Image

from twofold.data.colour_space import colours_of
from twofold.data.formats import File, UnreadableError
from twofold.data.tiff import colours_said, number_of
from twofold.data.tiff_pages import with_copies
from twofold.data.tiff_segments import JPEG, UNPACKED, Layout, Tags, all_of, places_of, unpacked

_DESCRIPTION, _X_RESOLUTION, _UNIT, _TABLES, _MISSING, _PHOTOMETRIC = 270, 282, 296, 347, 42113, 262
_ORIENTATION = 274
_MICROMETRES = {2: 25_400.0, 3: 10_000.0}  # of an inch and of a centimetre
_KEPT = 256  # segments that stay in memory
_ADOBE_RGB = (
    b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"  # tells a JPEG decoder that nothing is to be converted
)


@dataclass(frozen=True)
class _Level:
    """The image at one size."""

    tags: Tags
    layout: Layout
    offsets: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def is_inverted(self) -> bool:
        """Whether the smallest of its whole numbers is white."""
        return self.layout.dtype.kind == "u" and all_of(self.tags, _PHOTOMETRIC)[0] == 0


class TiffWindows:
    """A TIFF's main image, or the page whose directory lies at `at`. `open_file` opens the file for each window."""

    def __init__(self, open_file: Callable[[], File], at: int | None = None) -> None:
        """Raises UnreadableError for a TIFF whose segments are not read."""
        self._open = open_file
        self._kept: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._lock = Lock()
        with open_file() as file:
            pages = with_copies(file, at)
        first = _level(pages[0])
        width, height = first.layout.size
        self._levels = [first]  # the largest first
        for tags in pages[1:]:
            try:
                level = _level(tags)
            except UnreadableError:
                continue
            across, down = level.layout.size
            is_copy = across < width and abs(across * height - down * width) <= 2 * max(width, height)
            if is_copy and (level.layout.bands, level.layout.dtype) == (first.layout.bands, first.layout.dtype):
                self._levels.append(level)
        self._levels.sort(key=lambda level: -level.layout.size[0])
        self.size, self.bits = first.layout.size, first.layout.bits  # width, height
        self.colours = first.layout.colours
        missing = number_of(first.tags.get(_MISSING))
        self.missing = missing if missing is None or not first.is_inverted else 2.0**self.bits - 1 - missing
        self.micrometres_per_px = _resolution(first.tags)
        self.said = colours_of(colours_said(first.tags), is_grey=self.colours == 1)
        self.orientation = all_of(first.tags, _ORIENTATION, 1)[0]

    def read(self, x: int, y: int, w: int, h: int, *, shrink: float = 1.0) -> Num[np.ndarray, "h w b"]:
        """A window in pixels of the whole image, from the smallest copy that is at most `shrink` times smaller."""
        number = max(
            (n for n, level in enumerate(self._levels) if self.size[0] / level.layout.size[0] <= shrink * 1.01),
            default=0,
        )
        level = self._levels[number]
        scale = level.layout.size[0] / self.size[0]
        left, top = int(x * scale), int(y * scale)
        right = min(level.layout.size[0], max(left + 1, round((x + w) * scale)))
        bottom = min(level.layout.size[1], max(top + 1, round((y + h) * scale)))
        return self._window(number, left, top, right, bottom)

    def _window(self, number: int, left: int, top: int, right: int, bottom: int) -> Num[np.ndarray, "h w b"]:
        layout = self._levels[number].layout
        tall, wide = layout.segment
        rows, columns = range(top // tall, -(-bottom // tall)), range(left // wide, -(-right // wide))
        with self._open() as file:
            strips = [np.concatenate([self._segment(file, number, r, c) for c in columns], axis=1) for r in rows]
        top_there, left_there = rows[0] * tall, columns[0] * wide
        return np.concatenate(strips)[top - top_there : bottom - top_there, left - left_there : right - left_there]

    def _segment(self, file: File, number: int, row: int, column: int) -> Num[np.ndarray, "h w b"]:
        """A tile or strip of a level, with all its bands."""
        level = self._levels[number]
        layout = level.layout
        place = row * layout.across + column
        with self._lock:
            if (number, place) in self._kept:
                self._kept.move_to_end((number, place))
                return self._kept[number, place]
        each = layout.across * -(-layout.size[1] // layout.segment[0])  # segments of a plane
        rows = (
            layout.segment[0] if layout.is_tiled else min(layout.segment[0], layout.size[1] - row * layout.segment[0])
        )
        planes = []
        for at in range(place, place + each * (layout.bands if layout.is_planar else 1), each):
            file.seek(level.offsets[at])
            content = file.read(level.counts[at])
            is_jpeg = layout.compression == JPEG
            planes.append(_of_jpeg(content, level.tags) if is_jpeg else unpacked(content, rows, layout))
        segment = np.concatenate(planes, axis=2)
        if level.is_inverted:
            segment = segment.dtype.type(2**layout.bits - 1) - segment
        with self._lock:
            self._kept[number, place] = segment
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return segment


def _level(tags: Tags) -> _Level:
    layout = Layout.of(tags, (*UNPACKED, JPEG))
    offsets, counts = places_of(tags)
    planes = layout.bands if layout.is_planar else 1
    if min(len(offsets), len(counts)) < planes * layout.across * -(-layout.size[1] // layout.segment[0]):
        raise UnreadableError("the TIFF does not say where all its pixels are")
    return _Level(tags, layout, offsets, counts)


def _of_jpeg(content: bytes, tags: Tags) -> Num[np.ndarray, "h w b"]:
    """A tile that is a JPEG, whose tables may lie in a tag of the page."""
    tables = tags.get(_TABLES)
    if tables:
        content = bytes(tables)[:-2] + content[2:]
    if all_of(tags, _PHOTOMETRIC)[0] == 2:
        content = content[:2] + _ADOBE_RGB + content[2:]
    pixels = np.asarray(Image.open(io.BytesIO(content), formats=("JPEG",)))
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _resolution(tags: Tags) -> float | None:
    """Micrometres of a pixel, by the tags of resolution or as Aperio writes it; None where they do not say."""
    if (said := re.search(r"\bMPP\s*=\s*([\d.]+)", str(tags.get(_DESCRIPTION, "")))) is not None:
        return float(said[1])
    unit, dots = _MICROMETRES.get(all_of(tags, _UNIT, 2)[0]), float(tags.get(_X_RESOLUTION) or 0)
    return unit / dots if unit and dots > 100 else None  # up to 100 dots it is that of a screen
