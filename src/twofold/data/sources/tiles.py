"""Large images cut into tiles: each is an image of its own, called file.tif#x,y,w,h in pixels of the file."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Num, Shaped
from PIL import Image
from torch.nn import functional

from twofold.data.cache import cache_folder
from twofold.data.findings import Finding
from twofold.data.formats import ORIENTATION, File, UnreadableError
from twofold.data.openings import keep_parts, kept_parts
from twofold.data.parallel import in_order
from twofold.data.quiet import quiet
from twofold.data.record import Record, Source, digest
from twofold.data.records import Records
from twofold.data.samples import is_missing
from twofold.data.slide_windows import is_slide
from twofold.data.sources.pages import PagedSource
from twofold.data.sources.windows import Windows, open_windows
from twofold.data.tiff_alone import as_tiff
from twofold.errors import TwofoldError, require
from twofold.recipes.data import DataRecipe

_FORMAT = 3
_COARSE_PX = 16  # side of a tile where it is looked at for content
_LIGHT, _GREYEST = 220, 20  # a pixel of a bright, nearly grey background: all channels at least, and their spread
_OPEN = 8  # files whose tables of tiles stay in memory


class Tile(NamedTuple):
    """A window of the image `number` of a source, in its pixels; of zero width the whole image."""

    number: int
    x: int
    y: int
    w: int
    h: int


@dataclass(frozen=True)
class Cut:
    """How images are cut: the settings of the recipe."""

    tile_px: int
    stride_px: int
    micrometres_per_px: float | None
    content: float  # least share of a tile that is neither missing nor background

    @classmethod
    def of(cls, recipe: DataRecipe) -> "Cut | None":
        """Those of a recipe, None where nothing is cut. Raises TwofoldError for micrometres without tiles."""
        if recipe.tile is None:
            size = recipe.micrometres_per_px
            require(size is None, "micrometres_per_px", size, "given together with --tile", fix="Give --tile too.")
            return None
        return cls(recipe.tile, recipe.stride or recipe.tile, recipe.micrometres_per_px, recipe.tile_content)


class TiledSource:
    """The tiles of a source's images; an image that is no larger than a tile stays whole."""

    def __init__(self, source: Source, cut: Cut, cache: Path | None, *, show_progress: bool = False) -> None:
        """Raises TwofoldError where no tile is left, and where micrometres are asked for that a file does not say."""
        self.name, self._source, self._cut = source.name, source, cut
        self._stamp = digest(["tiles", _FORMAT, source.stamp(), list(vars(cut).values())])
        place = cache_folder(cache) / "tiles" / f"{self._stamp[:32]}.npz"
        kept = kept_parts(place)
        if kept is None:
            work = partial(_cut_one, source, cut)
            found = list(in_order(work, len(source.records), text="Cutting into tiles", show=show_progress))
            rows = [tile for one in found for tile in one.tiles]
            kept = np.array(rows, np.int64).reshape(-1, 5), sum(one.left_out for one in found)
            keep_parts(place, *kept)
        tiles, left_out = kept
        if not len(tiles):
            raise TwofoldError(
                f"no tile of '{source.name}' has content in at least {cut.content:.0%} of its pixels. "
                "Give a lower --tile-content, or other images."
            )
        self._tiles = tiles
        self.records = [_record(source.records[tile[0]], Tile(*tile)) for tile in tiles.tolist()]
        several = len(set(tiles[tiles[:, 3] > 0, 0].tolist()))
        text = f"{several:,} of {len(source.records):,} files are cut into {int((tiles[:, 3] > 0).sum()):,} tiles"
        text += f" of {cut.tile_px} px" + (f" of {cut.micrometres_per_px:g} um each" if cut.micrometres_per_px else "")
        text += f"; {left_out:,} more are background or hold no data" if left_out else ""
        self.findings: Sequence[Finding] = [*source.findings, *([Finding("TF049", text)] if several else [])]
        self._windows = lru_cache(maxsize=_OPEN)(partial(open_windows, source))

    def stamp(self) -> str:
        """Over that of the source and how it is cut."""
        return self._stamp

    def open(self, index: int) -> File | Image.Image:
        """The tile, as a file in memory or an image; the whole file of an image that is not cut."""
        tile = Tile(*self._tiles[index].tolist())
        if not tile.w:
            return self._source.open(self._whole(tile.number))
        content = self.read(index)
        return io.BytesIO(content) if isinstance(content, bytes) else content

    def read(self, index: int) -> bytes | Image.Image:
        """The tile at its size, an image where it is grey or colour of 8 bits without nodata, else a TIFF."""
        tile = Tile(*self._tiles[index].tolist())
        if not tile.w:
            return self._source.read(self._whole(tile.number))
        windows, side = self._windows(tile.number), self._cut.tile_px
        shrink = max(1.0, max(tile.w, tile.h) / side)
        values = windows.read(tile.x, tile.y, tile.w, tile.h, shrink=shrink)
        if shrink > 1:
            size = max(1, round(tile.h / shrink)), max(1, round(tile.w / shrink))
            values = _averaged(values, *size, windows.missing)
        if values.dtype == np.uint8 and values.shape[2] == windows.colours and windows.missing is None:
            image = Image.fromarray(np.ascontiguousarray(values[:, :, 0] if values.shape[2] == 1 else values))
            image.info.update(windows.said.info)
            image.getexif()[ORIENTATION] = windows.orientation
            return image
        profile = windows.said.profile
        return as_tiff(values, windows.colours, windows.missing, profile=profile, orientation=windows.orientation)

    def _whole(self, number: int) -> int:
        """The same, of an image that is not cut; a slide is, unless it cannot be read. Raises UnreadableError then."""
        if is_slide(self._source.records[number].path):
            self._windows(number)
        return number


def divided(source: Source, recipe: DataRecipe, cache: Path | None, *, show_progress: bool = False) -> Source:
    """A source's pages, or its tiles, or the tiles of its pages, as the recipe asks; else the source itself.

    Raises TwofoldError for slides that are not cut.
    """
    if isinstance(source, TiledSource | PagedSource):
        return source
    if recipe.pages == "images":
        source = PagedSource(source, cache, show_progress=show_progress)
    cut = Cut.of(recipe)
    slide = next(filter(is_slide, Records.of(source.records).paths), None)
    if cut is None and slide is not None:
        raise TwofoldError(
            f"'{slide}' is a slide, far larger than what an encoder sees, so slides are read in tiles. Give "
            "their side: --tile 256, best with the size of a pixel: --micrometres-per-px 0.5."
        )
    return source if cut is None else TiledSource(source, cut, cache, show_progress=show_progress)


class _Found(NamedTuple):
    tiles: list[Tile]
    left_out: int


def _cut_one(source: Source, cut: Cut, index: int) -> _Found:
    """The tiles of an image with content. A file that cannot be read stays whole, and is set aside with its reason."""
    try:
        windows = open_windows(source, index)
        side, stride = _sides(windows, cut, source.records[index].path)
        width, height = windows.size
        if width <= side and height <= side and not is_slide(source.records[index].path):
            return _Found([Tile(index, 0, 0, 0, 0)], 0)
        places = [(x, y) for y in _starts(height, side, stride) for x in _starts(width, side, stride)]
        tiles = [Tile(index, x, y, min(side, width), min(side, height)) for x, y in places]
        with quiet():
            kept = [tile for tile in tiles if cut.content == 0 or _content(windows, tile) >= cut.content]
    except TwofoldError as error:
        if not isinstance(error, UnreadableError):
            raise
        return _Found([Tile(index, 0, 0, 0, 0)], 0)
    except Exception:  # whatever a broken file brings about is said when it is decoded
        return _Found([Tile(index, 0, 0, 0, 0)], 0)
    return _Found(kept, len(tiles) - len(kept))


def _sides(windows: Windows, cut: Cut, path: str) -> tuple[int, int]:
    """Side and stride of a tile in pixels of the file."""
    if cut.micrometres_per_px is None:
        return cut.tile_px, cut.stride_px
    own = windows.micrometres_per_px
    if own is None:
        raise TwofoldError(
            f"'{path}' does not say how large its pixels are, but --micrometres-per-px needs it. "
            "Give --micrometres-per-px None."
        )
    scale = cut.micrometres_per_px / own
    return max(1, round(cut.tile_px * scale)), max(1, round(cut.stride_px * scale))


def _starts(length: int, side: int, stride: int) -> list[int]:
    """Where tiles begin; the last one ends with the image, so that nothing is left over."""
    if length <= side:
        return [0]
    starts = list(range(0, length - side + 1, stride))
    return starts if starts[-1] + side == length else [*starts, length - side]


def _content(windows: Windows, tile: Tile) -> float:
    """The share of a tile that is neither missing, black nor bright grey background, on a grid of its pixels."""
    shrink = max(1.0, max(tile.w, tile.h) / _COARSE_PX)
    values = windows.read(tile.x, tile.y, tile.w, tile.h, shrink=shrink)
    step = max(1, min(values.shape[:2]) // _COARSE_PX)
    return 1.0 - float(_is_background(values[::step, ::step], windows.missing).mean())


def _is_background(values: Num[np.ndarray, "h w b"], missing: float | None) -> Bool[np.ndarray, "h w"]:
    empty = (values == 0).all(axis=2) | (~np.isfinite(values)).any(axis=2) | is_missing(values, missing).all(axis=2)
    if values.dtype == np.uint8 and values.shape[2] == 3:
        low, high = values.min(axis=2), values.max(axis=2)
        empty |= (low >= _LIGHT) & (high - low <= _GREYEST)
    return empty


def _averaged(
    values: Num[np.ndarray, "h w b"], height: int, width: int, missing: float | None
) -> Num[np.ndarray, "{height} {width} b"]:
    """Shrunk by averaging areas, over the values that are there; missing where less than half of an area is there."""
    gone = is_missing(values, missing)
    small = _pooled(np.where(gone, 0, values), height, width)
    if gone.any():
        there = _pooled(~gone, height, width)
        nothing = np.nan if missing is None else missing
        small = np.where(there < 0.5, nothing, small / np.maximum(there, 0.5))
    return small.astype(values.dtype) if values.dtype.kind == "f" else np.rint(small).astype(values.dtype)


def _pooled(values: Shaped[np.ndarray, "h w b"], height: int, width: int) -> Float[np.ndarray, "{height} {width} b"]:
    planes = torch.from_numpy(values.astype(np.float64).transpose(2, 0, 1))
    small: np.ndarray = functional.adaptive_avg_pool2d(planes, (height, width)).numpy().transpose(1, 2, 0)
    return small


def _record(record: Record, tile: Tile) -> Record:
    if not tile.w:
        return record
    window = f"{tile.x},{tile.y},{tile.w},{tile.h}"
    return replace(record, path=f"{record.path}#{window}", group=record.group or record.path)
