"""The map of all images as one file: places, thumbnails in sheets, neighbours and columns to colour and filter by."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup
from PIL import Image

from twofold import __version__
from twofold.console import visible
from twofold.data import ImageSet
from twofold.evaluation.gallery import build_thumbs
from twofold.files import write_atomically
from twofold.report.pictures import data_uri
from twofold.report.template import load_template

_ACROSS = 32  # thumbnails in a row of a sheet, and rows of a sheet
_BUDGET = 14_000_000  # bytes of thumbnails, before they are written as text
_SIDES_PX = ((2_000, 64), (10_000, 48), (50_000, 24))  # up to so many images, of this side


def write_map_page(
    images: ImageSet,
    rows: np.ndarray,
    places: np.ndarray,
    neighbours: np.ndarray,
    columns: Mapping[str, Sequence[str]],
    typical: Sequence[Sequence[int]],
    path: Path,
) -> None:
    """Write the page, whole or not at all, of the images in `rows`.

    places (m, 2) in [0, 1], neighbours (m, k) and `typical` (of each cluster) count within `rows`; `columns` hold a
    value a row.
    """
    side_px = next((side for most, side in _SIDES_PX if len(rows) <= most), _SIDES_PX[-1][1])
    side_px = int(min(side_px, images.pixels.sizes[rows].min()))
    data = {
        "paths": [visible(images.paths[row]) for row in rows],
        "root": _root(images, rows),
        "columns": {visible(name): _coded(values) for name, values in columns.items()},
        "typical": [list(map(int, own)) for own in typical],
        "side": side_px,
        "across": _ACROSS,
        "near": neighbours.shape[1],
        "places": _packed(np.round(places * 65_535).astype("<u2")),
        "neighbours": _packed(neighbours.astype("<u4")),
        "sheets": _sheets(images, rows, side_px),
    }
    page = load_template("map.html.j2", "twofold.report").render(
        version=__version__,
        name=images.name,
        count=f"{len(rows):,}",
        total=f"{len(images):,}",
        sampled=len(rows) < len(images),
        data=Markup(json.dumps(data).replace("<", "\\u003c")),
    )
    write_atomically(path, page.encode("utf-8", "backslashreplace"))


def _root(images: ImageSet, rows: np.ndarray) -> str | None:
    """Where the files lie, where they are files of a folder."""
    folder = Path(images.name)
    whole = len(rows) > 0 and folder.is_dir() and (folder / images.paths[rows[0]]).is_file()
    return folder.resolve().as_uri() + "/" if whole else None


def _coded(values: Sequence[str]) -> dict[str, object]:
    """The most frequent values first, each row by its number."""
    names, inverse, counts = np.unique(
        np.array(values, dtype=object).astype(str), return_inverse=True, return_counts=True
    )
    order = np.argsort(-counts, kind="stable")
    return {"names": [visible(str(names[place])) for place in order], "of": np.argsort(order)[inverse].tolist()}


def _packed(numbers: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers).tobytes()).decode()


def _sheets(images: ImageSet, rows: np.ndarray, side_px: int) -> list[str]:
    """WebP sheets of 32 x 32 thumbnails, in the quality that keeps them all within the budget."""
    each, quality = _ACROSS**2, 70
    sheets: list[str] = []
    for start in range(0, len(rows), each):
        thumbs = build_thumbs(images, rows[start : start + each], side_px=side_px, crop_fraction=1.0)
        sheet = np.full((each, side_px, side_px, 3), 255, np.uint8)
        sheet[: len(thumbs)] = thumbs
        grid = sheet.reshape(_ACROSS, _ACROSS, side_px, side_px, 3).swapaxes(1, 2)
        pixels = np.ascontiguousarray(grid).reshape(_ACROSS * side_px, _ACROSS * side_px, 3)
        content = _webp(pixels, quality)
        while len(content) * len(rows) > _BUDGET * len(thumbs) and quality > 20:
            quality -= 10
            content = _webp(pixels, quality)
        sheets.append(data_uri(content, "webp"))
    return sheets


def _webp(pixels: np.ndarray, quality: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", quality=quality, method=2)
    return stream.getvalue()
