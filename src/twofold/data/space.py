"""Whether there is space for the images that are to be decoded, before the first is."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from PIL import Image

from twofold.data.quiet import quiet
from twofold.data.readers import open_image
from twofold.data.record import Source
from twofold.data.rules import LONG_SIDES, Rules, stored_size
from twofold.data.splits import permutation
from twofold.errors import TwofoldError

_SAMPLE = 64  # images that are read to tell how much space all will take


def require_space(
    source: Source,
    records: Int64[np.ndarray, " n"],
    rules: Rules,
    folder: Path,
    is_held: Callable[[bytes | Image.Image], bool],
) -> None:
    """Raises TwofoldError where `folder` has less space than some images of a source will take there.

    `is_held` says of the content of a file that it is there already. A sample is read, where all at the largest size
    would not fit.
    """
    free = _free_bytes(folder)
    if free is None or (rules.short_px and len(records) * LONG_SIDES * rules.short_px**2 * rules.channels < free):
        return
    sample = records[np.sort(permutation(len(records), 0)[:_SAMPLE])]
    needed = sum(_bytes(source, index, rules, is_held) for index in sample.tolist()) * len(records) / len(sample)
    if needed > free:
        raise TwofoldError(
            f"the decoded images will take about {needed / 1e9:,.1f} GB, but '{folder}' has {free / 1e9:,.1f} GB free. "
            "Choose another place by --cache, or free space: 'twofold cache' shows what is kept."
        )


def _bytes(source: Source, index: int, rules: Rules, is_held: Callable[[bytes | Image.Image], bool]) -> int:
    try:
        content = source.read(index)
        if is_held(content):
            return 0
        with quiet():
            width, height = stored_size(open_image(content).size, rules.short_px)
    except Exception:  # it takes no space, and is named later
        return 0
    return width * height * rules.channels


def _free_bytes(folder: Path) -> int | None:
    """Of the nearest folder that is there; None where that cannot be told."""
    there = next((one for one in (folder, *folder.parents) if one.exists()), None)
    try:
        return shutil.disk_usage(there).free if there else None
    except OSError:
        return None
