"""The pages of a TIFF: their directories one after the other, and the smaller copies that they point to."""

from collections.abc import Iterator
from typing import Any

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from twofold.data.formats import File, UnreadableError
from twofold.data.tiff_segments import Tags, all_of

_SUBFILE, _PHOTOMETRIC, _SUB_IFDS, _DNG = 254, 262, 330, 50706
_SENSOR = (32803, 34892)  # photometric interpretations of a camera's sensor
_LONG8, _IFD8 = 16, 18
_BIG = (b"+\0", b"\0+")  # third and fourth byte of a BigTIFF, in either order
_KNOWN: Any = ImageFileDirectory_v2._load_dispatch  # how the values of a tag are read, by their type
_READERS: Any = {**_KNOWN, _IFD8: _KNOWN[_LONG8]}
MOST_SEARCHED = 64  # pages looked through for one that is no thumbnail
_MOST = 2**20


class _Directory(ImageFileDirectory_v2):
    """With the places of smaller copies in a BigTIFF, a type (IFD8) that Pillow does not know: read as its LONG8."""

    _load_dispatch: Any = _READERS


def all_pages(file: File) -> Iterator[tuple[int, Tags]]:
    """Where each page's directory begins, and its tags, thumbnails among them. Raises UnreadableError for none."""
    head = _head(file)
    offset, known = _empty(head).next, set[int]()
    while offset and offset not in known and len(known) < _MOST:
        known.add(offset)
        tags = _directory(file, head, offset)
        if not tags:
            raise UnreadableError("the file is truncated: it ends before the place where a TIFF says what it holds")
        yield offset, tags
        offset = tags.next
    if not known:
        raise UnreadableError("the TIFF holds no page")


def first_pages(file: File, most: int = 2) -> list[Tags]:
    """The tags of the pages, until `most` of them are no thumbnails; the file is back at its beginning afterwards."""
    pages: list[Tags] = []
    for _, tags in all_pages(file):
        pages.append(tags)
        if sum(not is_small(page) for page in pages) == most or len(pages) == MOST_SEARCHED:
            break
    file.seek(0)
    return pages


def with_copies(file: File, at: int | None = None) -> list[Tags]:
    """A page in front - that at `at`, or the first that is no thumbnail - and what may be smaller copies of it."""
    head = _head(file)
    pages = first_pages(file, most=MOST_SEARCHED) if at is None else [_directory(file, head, at)]
    main = next((page for page in pages if not is_small(page)), pages[0])
    below = [_directory(file, head, place) for page in pages for place in all_of(page, _SUB_IFDS) if place]
    file.seek(0)
    return [main, *(page for page in [*pages, *below] if page is not main)]


def is_small(tags: Tags) -> bool:
    """Whether a page is a thumbnail, or a mask, of another one."""
    return bool(all_of(tags, _SUBFILE, 0)[0] & 5)


def is_raw(file: File, first: Tags) -> bool:
    """Whether this is a camera's RAW, many of which are TIFF files: a thumbnail first, the sensor below it."""
    if _DNG in first or all_of(first, _PHOTOMETRIC)[0] in _SENSOR:
        return True
    head = _head(file)
    below = (_directory(file, head, offset) for offset in all_of(first, _SUB_IFDS) if offset)
    return any(all_of(tags, _PHOTOMETRIC)[0] in _SENSOR for tags in below)


def _head(file: File) -> bytes:
    file.seek(0)
    head = file.read(8)
    head += file.read(8) if head[2:4] in _BIG else b""
    file.seek(0)
    return head


def _empty(head: bytes) -> Tags:
    """A directory without tags. Of a BigTIFF Pillow knows the head in one order of bytes alone."""
    return _Directory(b"II+\0" + head[4:] if head[2:4] in _BIG else head, prefix=head[:2])


def _directory(file: File, head: bytes, offset: int) -> Tags:
    tags = _empty(head)
    file.seek(offset)
    tags.load(file)
    return tags
