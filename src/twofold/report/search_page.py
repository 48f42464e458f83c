"""The page of a search: each query with the images most like it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64
from PIL import Image

from twofold import __version__
from twofold.data import ImageSet
from twofold.files import write_atomically
from twofold.report.clean_page import Gallery, Shown
from twofold.report.pictures import picture_uri
from twofold.report.template import load_template

_QUERIES = 50  # shown
_SIDE_PX = 112


def write_search_page(
    files: Sequence[Path],
    rows: Int64[np.ndarray, "m k"],
    cosines: Float32[np.ndarray, "m k"],
    images: ImageSet,
    path: Path,
) -> None:
    """Write the page, whole or not at all: one file without references to others; at most 50 queries."""
    gallery = Gallery(images)
    strips = [
        {
            "query": _query(file),
            "hits": [
                gallery.show(row, f"{cosine:.3f}") for row, cosine in zip(own.tolist(), likeness.tolist(), strict=True)
            ],
        }
        for file, own, likeness in zip(files[:_QUERIES], rows, cosines, strict=False)
    ]
    page = load_template("search.html.j2", "twofold.report").render(
        version=__version__, name=images.name, total=f"{len(images):,}", strips=strips, queries=len(files)
    )
    write_atomically(path, page.encode("utf-8", "backslashreplace"))


def _query(file: Path) -> Shown:
    with Image.open(file) as image:
        small = image.convert("RGB")
    small.thumbnail((_SIDE_PX, _SIDE_PX))
    return Shown(picture_uri(np.asarray(small)), str(file), "query")
