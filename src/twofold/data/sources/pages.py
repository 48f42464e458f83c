"""Files with several pages or frames: each is an image of its own, called file.tif#page=3, counted from 1."""

import io
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from threading import get_ident
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64
from PIL import Image

from twofold.data.cache import cache_folder
from twofold.data.dicom import count_frames, frame_alone, is_dicom
from twofold.data.findings import Finding
from twofold.data.formats import ANIMATED, File, head_of, is_tiff
from twofold.data.header import header_info
from twofold.data.openings import keep_parts, kept_parts
from twofold.data.parallel import in_order
from twofold.data.quiet import quiet
from twofold.data.record import OnDisk, Record, Source, digest
from twofold.data.slide_windows import is_slide
from twofold.data.tiff_alone import page_alone
from twofold.data.tiff_pages import all_pages, is_raw, is_small

_FORMAT = 1
_OPEN = 8  # animations that stay open
_MARKS = (b"GIF8", b"RIFF", b"\x89PNG")  # first bytes of files that may be animations


class Page(NamedTuple):
    """A page of the file `number` of a source."""

    number: int
    page: int  # from 1; 0: the whole file, which has but one
    at: int  # in a TIFF, where its directory begins


class PagedSource:
    """The pages of a source's files; thumbnails are none, and a file of one page stays whole."""

    def __init__(self, source: Source, cache: Path | None, *, show_progress: bool = False) -> None:
        self.name, self._source = source.name, source
        self._stamp = digest(["pages", _FORMAT, source.stamp()])
        place = cache_folder(cache) / "pages" / f"{self._stamp[:32]}.npz"
        kept = kept_parts(place)
        if kept is None:
            work = partial(_pages_of, source)
            found = in_order(work, len(source.records), text="Counting pages", show=show_progress)
            kept = np.array([page for pages in found for page in pages], np.int64).reshape(-1, 3), 0
            keep_parts(place, *kept)
        self._pages: Int64[np.ndarray, "n 3"] = kept[0]
        self.records = [_record(source.records[page[0]], Page(*page)) for page in self._pages.tolist()]
        several = self._pages[self._pages[:, 1] > 0, 0].tolist()
        text = f"{len(set(several)):,} of {len(source.records):,} files hold several pages or frames"
        text += f", {len(several):,} in all, each an image of its own" if several else ""
        self.findings: Sequence[Finding] = [*source.findings, Finding("TF074", text)]
        self._animations = lru_cache(maxsize=_OPEN)(lambda number, _thread: _Animation(source, number))

    def stamp(self) -> str:
        """Over that of the source."""
        return self._stamp

    def place(self, index: int) -> tuple[Source, Page]:
        """Where an image lies."""
        return self._source, Page(*self._pages[index].tolist())

    def path_of(self, index: int) -> Path | None:
        """Where the file of an image lies that has no other; None for a page."""
        page = Page(*self._pages[index].tolist())
        return self._source.path_of(page.number) if not page.page and isinstance(self._source, OnDisk) else None

    def open(self, index: int) -> File | Image.Image:
        """The page, as a file in memory or an image; the whole file where it has no other."""
        page = Page(*self._pages[index].tolist())
        if not page.page:
            return self._source.open(page.number)
        content = self.read(index)
        return io.BytesIO(content) if isinstance(content, bytes) else content

    def read(self, index: int) -> bytes | Image.Image:
        """The page as a file of its own, or an image where it is a frame of an animation. Raises UnreadableError."""
        page = Page(*self._pages[index].tolist())
        if not page.page:
            return self._source.read(page.number)
        opened = self._source.open(page.number)
        assert not isinstance(opened, Image.Image)
        with opened as file:
            if is_tiff(head_of(file)):
                return page_alone(file, page.at)
            if is_dicom(file):
                return frame_alone(file, page.page)
        return self._animations(page.number, get_ident()).frame(page.page)


class _Animation:
    """The frames of an animation, for one thread: each is laid over those before it, so they come fastest in turn."""

    def __init__(self, source: Source, number: int) -> None:
        content = source.read(number)
        assert isinstance(content, bytes)
        self._content, self._said = content, header_info(io.BytesIO(content))
        self._image = Image.open(io.BytesIO(content), formats=ANIMATED)

    def frame(self, page: int) -> Image.Image:
        """A frame by itself, counted from 1."""
        if page - 1 < self._image.tell():  # Pillow goes back in a PNG from its last frame alone
            self._image = Image.open(io.BytesIO(self._content), formats=ANIMATED)
        self._image.seek(page - 1)
        frame = self._image.convert("RGBA" if self._image.has_transparency_data else "RGB")
        frame.format = self._image.format
        frame.info.update(self._said)
        return frame


def _pages_of(source: Source, number: int) -> list[Page]:
    """The pages of a file. One that cannot be read stays whole, and is set aside with its reason."""
    whole = [Page(number, 0, 0)]
    if is_slide(source.records[number].path):  # its pages are copies of it
        return whole
    try:
        opened = source.open(number)
        if isinstance(opened, Image.Image):
            return whole
        with quiet(), opened as file:
            pages = _pages_in(file)
    except Exception:  # whatever a broken file brings about is said when it is decoded
        return whole
    return [Page(number, *page) for page in pages] if len(pages) > 1 else whole


def _pages_in(file: File) -> list[tuple[int, int]]:
    """(number, place of its directory) of each page of a file; none where its format has no pages."""
    head = head_of(file)
    if is_tiff(head):
        pages = list(enumerate(all_pages(file), 1))
        is_camera = is_raw(file, pages[0][1][1])
        return [] if is_camera else [(page, at) for page, (at, tags) in pages if not is_small(tags)]
    if is_dicom(file):
        return [(page, 0) for page in range(1, 1 + count_frames(file))]
    if head.startswith(_MARKS) or head[4:12] == b"ftypavis":
        image = Image.open(file, formats=ANIMATED)
        return [(page, 0) for page in range(1, 1 + getattr(image, "n_frames", 1))]
    return []


def _record(record: Record, page: Page) -> Record:
    if not page.page:
        return record
    return replace(record, path=f"{record.path}#page={page.page}", group=record.group or record.path)
