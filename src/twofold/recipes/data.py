"""How images become rows of pixels, with labels, splits and groups."""

import math
import re
from dataclasses import dataclass, replace
from typing import Annotated, TypedDict

from twofold.errors import require, require_choice
from twofold.recipes.help import Help
from twofold.recipes.kinds import check_kinds

MOST_CHANNELS = 32
_RANGE_RULE = "low high with low < high, both finite, or such a pair for each channel"


class Reading(TypedDict, total=False):
    """How tables, paths and files are read: the settings that other data than the run's may need anew."""

    pages: str
    tile: int | None
    stride: int | None
    micrometres_per_px: float | None
    tile_content: float
    path_column: str | None
    label_column: str | None
    split_column: str | None
    group_column: str | None
    group_by: str | None


@dataclass(frozen=True, kw_only=True)
class DataRecipe:
    """How images become rows of pixels."""

    channels: Annotated[
        int, Help("channels of the encoder's input: 1 (grey), 3 (colour) or the number of bands, up to 32")
    ] = 3
    bands: Annotated[
        tuple[int, ...] | None,
        Help("bands of the files that become the channels, counted from 1: 4 3 2 (none: all, or grey and colour)"),
    ] = None
    pages: Annotated[
        str,
        Help(
            "files with several pages or frames (TIFF, GIF, DICOM): first (is the image), images (each page is one "
            "by itself, called file.tif#page=3) or channels (each page is a channel)"
        ),
    ] = "first"
    store_px: Annotated[
        int | None, Help("short side kept in the store, in pixels; larger images shrink (none: twice --size-px)")
    ] = None
    max_unreadable_fraction: Annotated[float, Help("stop when more than this share of the files is unreadable")] = 0.10
    test_fraction: Annotated[float, Help("share cut off as test where labelled data come without a test split")] = 0.2
    selection_fraction: Annotated[float, Help("share of train on which choices are made (never on test)")] = 0.1
    data_seed: Annotated[int, Help("seed of the test and selection cuts")] = 0
    path_column: Annotated[str | None, Help("column of a table with the images' paths, names or ids")] = None
    label_column: Annotated[str | None, Help("column of a table with the labels")] = None
    split_column: Annotated[str | None, Help("column of a table with the splits: train, validation or test")] = None
    group_column: Annotated[str | None, Help("column of a table with groups, such as patients: no cut divides one")] = (
        None
    )
    group_by: Annotated[
        str | None, Help("regular expression: what its parenthesis matches in an image's path is the group")
    ] = None
    tile: Annotated[
        int | None, Help("side in pixels of the tiles that larger images are cut into (none: images are not cut)")
    ] = None
    stride: Annotated[int | None, Help("pixels from one tile to the next (none: --tile, side by side)")] = None
    micrometres_per_px: Annotated[
        float | None, Help("size of a tile's pixel, by the resolution that the file says (none: the file's pixels)")
    ] = None
    tile_content: Annotated[
        float,
        Help("least share of a tile that is neither black, without data nor bright grey background; 0: all tiles"),
    ] = 0.1
    range: Annotated[
        tuple[float, ...] | None,
        Help(
            "numbers that become black and white in images of more than 8 bits: low high, or such a pair for each "
            "channel (none: measured, see --range-from)"
        ),
    ] = None
    range_from: Annotated[
        str,
        Help(
            "where the range comes from: data (one for all, 0.1 and 99.9 percentiles of a sample, kept in the run), "
            "image (each image's own) or type (all that its kind of number can hold)"
        ),
    ] = "data"
    held_out_fraction: Annotated[
        float | None,
        Help(
            "share of the images to train on that are kept out, to watch the loss on them, where the data have no "
            "validation images (None: 0.02, or none of under 1,600)"
        ),
    ] = None
    decode: Annotated[
        str, Help("once (images are kept decoded in the cache) or each-time (they are not: for data beyond the disk)")
    ] = "once"
    truncated: Annotated[str, Help("JPEG files that end early: read (the rows that are there) or skip")] = "read"

    def __post_init__(self) -> None:
        check_kinds(self)
        require(1 <= self.channels <= MOST_CHANNELS, "channels", self.channels, f"1 to {MOST_CHANNELS}")
        if self.bands is not None:
            require(min(self.bands, default=0) >= 1, "bands", self.bands, "numbers of bands, counted from 1")
            rule = f"as many bands as channels ({self.channels})"
            require(len(self.bands) == self.channels, "bands", self.bands, rule, fix="Leave --channels out.")
        require(self.tile is None or self.tile >= 8, "tile", self.tile, "at least 8 pixels")
        require(self.stride is None or self.stride >= 1, "stride", self.stride, "at least 1 pixel")
        size = self.micrometres_per_px
        require(size is None or 0 < size < math.inf, "micrometres_per_px", size, "above 0 and finite")
        require(0.0 <= self.tile_content <= 1.0, "tile_content", self.tile_content, "a share in [0, 1]")
        require_choice("pages", self.pages, ("first", "images", "channels"))
        require(self.store_px is None or self.store_px >= 1, "store_px", self.store_px, "at least 1 pixel")
        for name in ("max_unreadable_fraction", "test_fraction"):
            require(0.0 <= getattr(self, name) < 1.0, name, getattr(self, name), "a fraction in [0, 1)")
        held_out = self.held_out_fraction
        require(held_out is None or 0.0 <= held_out < 1.0, "held_out_fraction", held_out, "a fraction in [0, 1)")
        require(0 <= self.data_seed < 2**32, "data_seed", self.data_seed, "in [0, 2^32)")
        require(0.0 < self.selection_fraction < 1.0, "selection_fraction", self.selection_fraction, "in (0, 1)")
        require(self.group_by is None or _is_pattern(self.group_by), "group_by", self.group_by, "a regular expression")
        require_choice("range_from", self.range_from, ("data", "image", "type"))
        require_choice("decode", self.decode, ("once", "each-time"))
        require_choice("truncated", self.truncated, ("read", "skip"))
        is_range = self.range is None or _is_range(self.range, self.channels)
        require(is_range, "range", self.range, _RANGE_RULE)

    @property
    def by_bands(self) -> bool:
        """Whether bands are read as they are stored: nothing is taken for colour or transparency."""
        return reads_bands(self.channels, self.bands, self.pages)


def read_anew(recipe: DataRecipe, reading: Reading) -> DataRecipe:
    """The recipe with these settings in place of its own; its stride and size of a pixel go with its own tiles."""
    given = dict(reading)
    if "tile" in given:
        given.setdefault("stride", None)
        if given["tile"] is None:
            given.setdefault("micrometres_per_px", None)
    return replace(recipe, **given)  # type: ignore[arg-type]


def reads_bands(channels: int, bands: tuple[int, ...] | None, pages: str) -> bool:
    """Whether images are read by their bands as they are stored, none of them taken for colour or transparency."""
    return bands is not None or pages == "channels" or channels not in (1, 3)


def _is_range(ends: tuple[float, ...], channels: int) -> bool:
    pairs = list(zip(ends[::2], ends[1::2], strict=False))
    return len(ends) in (2, 6, 2 * channels) and all(math.isfinite(high - low) and low < high for low, high in pairs)


def _is_pattern(text: str) -> bool:
    try:
        return bool(re.compile(text).pattern)
    except re.error:
        return False
