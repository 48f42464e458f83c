"""TIFF: pages, bands, photometric interpretation, numbers of any kind; what Pillow reads as it should, it reads."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Num
from PIL import Image, ImagePalette, UnidentifiedImageError

from twofold.data.colour_space import BT_709, D65, LIGHT
from twofold.data.formats import BITS, PAGES, File, UnreadableError, open_raw
from twofold.data.samples import Samples, limits_of
from twofold.data.tiff_pages import MOST_SEARCHED, first_pages, is_raw, is_small
from twofold.data.tiff_segments import UNPACKED, Layout, Tags, all_of, not_read, reader

_BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION, _BANDS = 258, 259, 262, 274, 277
_LIGHT, _WHITE, _PRIMARIES = 301, 318, 319
_PALETTE, _EXTRA, _KIND, _ICC, _MISSING = 320, 338, 339, 34675, 42113
_GREY_OR_RGB = {0: 1, 1: 1, 2: 3}  # photometric interpretation -> bands


def open_tiff(file: File) -> Image.Image | Samples:
    """The first page that is no thumbnail; of a camera's RAW its preview. Raises UnreadableError with what it is."""
    pages = first_pages(file)
    if is_raw(file, pages[0]):
        return open_raw(file)
    number, tags = next(((i, p) for i, p in enumerate(pages) if not is_small(p)), (0, pages[0]))
    has_more = any(not is_small(page) for page in pages[number + 1 :])
    if not _is_plain(tags):
        return _samples(file, tags, has_more)
    file.seek(0)
    try:
        image: Any = Image.open(file, formats=("TIFF",))
    except (UnidentifiedImageError, KeyError) as error:  # of a compression that Pillow does not know
        raise not_read(tags) from error
    if number:
        image.seek(number)
    if has_more:
        image.info[PAGES] = True
    image.info.update(colours_said(tags))
    if max(all_of(tags, _BITS, 1)) > 8:  # inks of 16 bits, of which Pillow keeps 8
        image.info[BITS] = max(all_of(tags, _BITS))
    if image.mode == "P" and max(all_of(tags, _PALETTE)) < 256:  # of 8 bits, though the standard has 16
        image.palette = ImagePalette.raw("RGB;L", bytes(all_of(tags, _PALETTE)))
    return image


def tiff_bands(file: File, pages: str) -> Samples:
    """All bands of the first page that is no thumbnail, or of all such pages. Raises UnreadableError."""
    all_pages = first_pages(file, most=MOST_SEARCHED if pages == "channels" else 1)
    large = [page for page in all_pages if not is_small(page)] or all_pages[:1]
    return _stacked([_samples(file, page, has_more=False) for page in large])


def _stacked(pages: Sequence[Samples]) -> Samples:
    """Pages of one size as the bands of one image. Raises UnreadableError where they differ."""
    first = pages[0]
    if any((page.size, page.bits, page.limits) != (first.size, first.bits, first.limits) for page in pages):
        sizes = ", ".join(sorted({f"{page.size[0]} x {page.size[1]} of {page.bits} bits" for page in pages}))
        raise UnreadableError(f"its pages differ ({sizes}), but pages that are channels have one size and depth")

    def read(top: int, bottom: int) -> Num[np.ndarray, "h w b"]:
        return np.concatenate([(page.read_bands or page.read)(top, bottom) for page in pages], axis=2)

    bands = sum(page.colours + page.further_bands for page in pages)
    return replace(
        first,
        colours=bands,
        further_bands=0,
        alpha=None,
        read=read,
        read_bands=None,
        held_bytes=sum(page.held_bytes for page in pages),
        info={},
    )


def _is_plain(tags: Tags) -> bool:
    """Whether Pillow takes it for what it is: at most 8 bits without a sign, no band too many, no nodata."""
    photometric, compression = all_of(tags, _PHOTOMETRIC)[0], all_of(tags, _COMPRESSION, 1)[0]
    if photometric not in _GREY_OR_RGB or compression not in UNPACKED:
        return True
    bits, bands = all_of(tags, _BITS, 1), all_of(tags, _BANDS, 1)[0]
    is_small = max(bits) <= 8 and set(all_of(tags, _KIND, 1)) <= {1, 4}
    is_alone = bands == _GREY_OR_RGB[photometric] and not tags.get(_EXTRA)
    return is_small and is_alone and number_of(tags.get(_MISSING)) is None


def _samples(file: File, tags: Tags, has_more: bool) -> Samples:
    layout = Layout.of(tags)
    width, height = layout.size
    extra = all_of(tags, _EXTRA)[0] if tags.get(_EXTRA) else 0
    after = layout.bands - layout.colours
    alphas: dict[int, Literal["straight", "premultiplied"]] = {1: "premultiplied", 2: "straight"}
    return Samples(
        format="TIFF",
        size=(width, height),
        bits=layout.bits,
        colours=layout.colours,
        read=reader(file, tags, layout),
        read_bands=reader(file, tags, layout, all_bands=True),
        limits=limits_of(layout.dtype, layout.bits),
        alpha=alphas.get(extra) if after else None,
        further_bands=after,
        is_inverted=all_of(tags, _PHOTOMETRIC)[0] == 0,
        missing=number_of(tags.get(_MISSING)),
        orientation=all_of(tags, _ORIENTATION, 1)[0],
        held_bytes=4 * layout.across * layout.segment[0] * layout.row_bytes * (layout.bands if layout.is_planar else 1),
        info={**colours_said(tags), **({PAGES: True} if has_more else {})},
    )


def colours_said(tags: Tags) -> dict[str, Any]:
    """What a page says of its colours, as `colour_space.colours_of` reads it."""
    said: dict[str, Any] = {}
    if tags.get(_ICC):
        said["icc_profile"] = tags[_ICC]
    if _WHITE in tags or _PRIMARIES in tags:
        said["chromaticity"] = tuple(float(v) for v in (*tags.get(_WHITE, D65), *tags.get(_PRIMARIES, BT_709)))
    if _LIGHT in tags:
        light, steps = tags[_LIGHT], 2 ** all_of(tags, _BITS, 1)[0]
        said[LIGHT] = [light[place : place + steps] for place in range(0, len(light), steps)]
    return said


def number_of(text: Any) -> float | None:
    """A number that is written as text; None where it is none."""
    try:
        return float(str(text).strip("\0 "))
    except ValueError:
        return None
