"""Small square versions of whole images: what copies are compared by, and what is looked at for faults."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy.lib.format import open_memmap
from PIL import Image

from twofold.curation.kept_arrays import kept_arrays
from twofold.data import ImageSet
from twofold.data.parallel import in_order
from twofold.data.rgb import to_rgb

SIDE = 32


def squash(pixels: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "s s 3"]:
    """The whole image at 32 x 32 pixels, whatever its shape; grey as three equal channels, of many the first three."""
    image = Image.fromarray(pixels[:, :, 0]).convert("RGB") if pixels.shape[2] == 1 else Image.fromarray(to_rgb(pixels))
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0))


def kept_thumbs(images: ImageSet, cache: Path) -> UInt8[np.ndarray, "n s s 3"]:
    """`squash` of every image, kept in the cache by content. Raises TwofoldError where that cannot be written."""
    count = len(images)

    def at(row: int) -> UInt8[np.ndarray, "s s 3"]:
        batch = images.read(np.array([row]))
        return squash(batch.images[0].permute(1, 2, 0).numpy())

    return kept_arrays(cache, f"{images.fingerprint}-thumbs", ("thumbs",), _writer(at, count))["thumbs"]


def _writer(at: Callable[[int], np.ndarray], count: int) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        if count == 0:
            np.save(folder / "thumbs.npy", np.zeros((0, SIDE, SIDE, 3), np.uint8))
            return
        whole = open_memmap(folder / "thumbs.npy", mode="w+", dtype=np.uint8, shape=(count, SIDE, SIDE, 3))
        for row, thumb in enumerate(in_order(at, count, text="Shrinking images", show=True)):
            whole[row] = thumb
        whole.flush()

    return write
