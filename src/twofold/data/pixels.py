"""The packed pixels of a store: one file, mapped into memory."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor


@dataclass(frozen=True)
class ImageBatch:
    """n pictures on one canvas size; each lies at the top left, beyond it are zeros."""

    images: UInt8[Tensor, "n c H W"]
    sizes: Int64[Tensor, "n 2"]  # (height, width) of each picture, in pixels

    def part(self, images: slice) -> "ImageBatch":
        """Some of the pictures, on the same canvas."""
        return ImageBatch(self.images[images], self.sizes[images])

    def is_filled(self) -> bool:
        """Whether every picture fills the canvas."""
        return bool((self.sizes == torch.tensor(self.images.shape[2:])).all())

    def pinned(self) -> "ImageBatch":
        """The pictures in page-locked memory: copies of them to a GPU are several times as fast, and nobody waits.

        Raises RuntimeError, torch's, where there is no CUDA.
        """
        return ImageBatch(self.images.pin_memory(), self.sizes)


class Pixels:
    """Pictures (c, height, width), one after the other in a file of bytes."""

    def __init__(self, path: Path, sizes: Int64[np.ndarray, "n 2"], channels: int) -> None:
        self.sizes = sizes
        self.channels = channels
        self._flat = np.memmap(path, np.uint8, mode="r") if len(sizes) else np.zeros(0, np.uint8)
        self._ends = np.cumsum(sizes.prod(axis=1) * channels)
        self._grid: UInt8[np.ndarray, "n c H W"] | None = None
        if len(sizes) and (sizes == sizes[0]).all():
            self._grid = self._flat.reshape(len(sizes), channels, *sizes[0])

    def __len__(self) -> int:
        return len(self.sizes)

    def read(self, rows: Int64[np.ndarray, " n"]) -> ImageBatch:
        """Copies of some pictures, in the order of `rows`."""
        sizes = self.sizes[rows]
        if self._grid is not None:
            images = np.asarray(self._grid[rows])  # fancy indexing: the one copy
        else:
            images = np.zeros((len(rows), self.channels, *sizes.max(axis=0, initial=0)), np.uint8)
            for canvas, row, (height, width) in zip(images, rows.tolist(), sizes.tolist(), strict=True):
                canvas[:, :height, :width] = self._picture(row)
        return ImageBatch(torch.from_numpy(images), torch.from_numpy(sizes))

    def _picture(self, row: int) -> UInt8[np.ndarray, "c H W"]:
        height, width = self.sizes[row].tolist()
        end = self._ends[row]
        return self._flat[end - self.channels * height * width : end].reshape(self.channels, height, width)
