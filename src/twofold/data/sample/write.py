"""From the sheets in the package to an ordinary folder of images: the demo takes the road of anybody's own."""

import json
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from twofold.errors import TwofoldError

SPLITS = ("train", "test")


def write_sample(folder: Path) -> Path:
    """Write train/CLASS/00001.png and test/CLASS/00001.png below `folder`; returns `folder`.

    12,000 train and 2,000 test images of ten classes, grey, 28 x 28 px. Each class's folder appears whole or not at
    all; what is complete already is left alone, and a folder with missing images is filled up.
    Raises TwofoldError where the place cannot be written or holds other files.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_strangers(folder)
        for split in SPLITS:
            if any(not _is_complete(folder / split / name, count) for name, count in _counts(split).items()):
                _write_split(folder, split)
    except OSError as error:
        raise TwofoldError(
            f"cannot write the sample to '{folder}' ({error.strerror or error}); a folder that can be written, with "
            "about 60 MB free, is needed. Choose another folder."
        ) from error
    return folder


def read_tiles(split: str) -> tuple[UInt8[np.ndarray, "n 28 28"], list[str]]:
    """The images of a split ("train" or "test") and the class of each, straight from the sheets."""
    record = _record()
    tiles = [_cut(path, record) for path in _sheets(split)]
    return np.concatenate(tiles), [record["classes"][int(digit)] for digit in record[split]]


def _write_split(folder: Path, split: str) -> None:
    tiles, classes = read_tiles(split)
    (folder / split).mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".sample-") as temporary:
        for name, count in _counts(split).items():
            final = folder / split / name
            if _is_complete(final, count):
                continue
            made = Path(temporary) / name
            made.mkdir()
            for number, row in enumerate((row for row, label in enumerate(classes) if label == name), start=1):
                Image.fromarray(tiles[row]).save(made / f"{number:05d}.png")
            _put_in_place(made, final)


def _put_in_place(made: Path, final: Path) -> None:
    if not final.exists():
        try:
            made.rename(final)
        except OSError:
            if not final.is_dir():  # otherwise another process was faster: its images are the same
                raise
        else:
            return
    for picture in made.iterdir():
        if not _is_whole(final / picture.name):
            picture.replace(final / picture.name)


def _is_complete(folder: Path, count: int) -> bool:
    pictures = (folder / f"{number:05d}.png" for number in range(1, count + 1))
    return folder.is_dir() and all(_is_whole(picture) for picture in pictures)


def _is_whole(picture: Path) -> bool:
    return picture.is_file() and picture.stat().st_size > 0


def _refuse_strangers(folder: Path) -> None:
    for place, own in ((folder, SPLITS), *((folder / split, tuple(_record()["classes"])) for split in SPLITS)):
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            if path.name not in own and not path.name.startswith("."):
                raise TwofoldError(
                    f"'{place}' holds other files ('{path.name}'), but the sample needs a folder of its own. "
                    "Choose another folder."
                )


@cache
def _record() -> dict[str, Any]:
    return json.loads(files("twofold.data.sample").joinpath("labels.json").read_text(encoding="utf-8"))


def _counts(split: str) -> dict[str, int]:
    return {name: _record()[split].count(str(digit)) for digit, name in enumerate(_record()["classes"])}


def _sheets(split: str) -> Iterator[Any]:
    sheets = [path for path in files("twofold.data.sample").iterdir() if path.name.startswith(f"{split}-")]
    yield from sorted(sheets, key=lambda path: path.name)


def _cut(path: Any, record: dict[str, Any]) -> UInt8[np.ndarray, "n 28 28"]:
    across, down, tile_px = record["across"], record["down"], record["tile_px"]
    with path.open("rb") as file, Image.open(file) as sheet:
        pixels = np.asarray(sheet)[:, :, 0]  # WebP has no grey: its three channels are equal
    grid = pixels.reshape(down, tile_px, across, tile_px)
    return np.ascontiguousarray(grid.swapaxes(1, 2)).reshape(-1, tile_px, tile_px)
