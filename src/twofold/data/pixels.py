"""The packed pixels of a store: files, mapped into memory."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int32, Int64, UInt8
from torch import Tensor

_WORTH_SHARING = 2**24  # bytes that one thread copies in about as long as others need to begin
_CLEARED_WHOLE = 2**16  # bytes of a canvas up to which one pass over it takes less time than two strips
_AT_ONCE = 16  # images that one of several threads copies before it asks for more


@dataclass(frozen=True)
class ImageBatch:
    """n images on one canvas size; each lies at the top left, beyond it are zeros."""

    images: UInt8[Tensor, "n c H W"]
    sizes: Int64[Tensor, "n 2"]  # (height, width) of each image, in pixels

    def part(self, images: slice) -> "ImageBatch":
        """Some of the images, on the same canvas."""
        return ImageBatch(self.images[images], self.sizes[images])

    def is_filled(self) -> bool:
        """Whether every image fills the canvas."""
        return bool((self.sizes == torch.tensor(self.images.shape[2:])).all())

    def pinned(self) -> "ImageBatch":
        """The images in page-locked memory: copies of them to a GPU are several times as fast, and nobody waits.

        Raises RuntimeError, torch's, where there is no CUDA.
        """
        return ImageBatch(self.images.pin_memory(), self.sizes)


class Pixels:
    """Images (c, height, width) in files of bytes."""

    def __init__(
        self,
        files: Path | Sequence[Path],
        sizes: Int64[np.ndarray, "n 2"],
        channels: int,
        *,
        file: Int32[np.ndarray, " n"] | None = None,
        starts: Int64[np.ndarray, " n"] | None = None,
    ) -> None:
        """`file` and `starts`: in which of the files each image lies and at which byte; None: one after the other.

        Raises OSError where a file cannot be opened, ValueError where one is too short.
        """
        self.sizes = sizes
        self.channels = channels
        lengths = sizes.prod(axis=1) * channels
        self._starts = np.cumsum(lengths) - lengths if starts is None else starts
        self._file = np.zeros(len(sizes), np.int32) if file is None else file
        paths = [files] if isinstance(files, Path) else files
        self._flat = [np.memmap(path, np.uint8, mode="r") for path in paths] if len(sizes) else []
        held = np.array([len(flat) for flat in self._flat], np.int64)
        if (self._starts + lengths > held[self._file]).any():
            raise ValueError("a file of pixels is too short")
        self._grid: UInt8[np.ndarray, "m c H W"] | None = None  # of one size in one file: `_places` there
        if len(self._flat) == 1 and (sizes == sizes[0]).all() and (self._starts % lengths[0] == 0).all():
            count = len(self._flat[0]) // int(lengths[0])
            self._grid = self._flat[0][: count * int(lengths[0])].reshape(count, channels, *sizes[0])
            self._places = self._starts // lengths[0]

    def __len__(self) -> int:
        return len(self.sizes)

    def read(
        self, rows: Int64[np.ndarray, " n"], *, pinned: bool = False, readers: Executor | None = None
    ) -> ImageBatch:
        """Copies of some images, in the order of `rows`; `readers` are threads that share them where they are many.

        `pinned`: straight into page-locked memory (`ImageBatch.pinned`). Raises RuntimeError, torch's, where there is
        no CUDA.
        """
        sizes = self.sizes[rows]
        if not pinned and self._grid is not None:
            images = np.asarray(self._grid[self._places[rows]])  # fancy indexing: the one copy
            return ImageBatch(torch.from_numpy(images), torch.from_numpy(sizes))
        extent = sizes.max(axis=0, initial=0) if self._grid is None else self.sizes[0]
        shape = (len(rows), self.channels, *extent.tolist())
        # ordinary memory comes from the system as zeros; page-locked memory is used again and again
        canvases = page_locked(shape) if pinned else torch.from_numpy(np.zeros(shape, np.uint8))
        put = partial(self._put, canvases.numpy(), rows, sizes, clear=pinned)
        if readers is None or canvases.numel() < _WORTH_SHARING:
            put(slice(None))
        else:
            parts = [slice(start, start + _AT_ONCE) for start in range(0, len(rows), _AT_ONCE)]
            list(readers.map(put, parts))
        return ImageBatch(canvases, torch.from_numpy(sizes))

    def _put(
        self,
        canvases: UInt8[np.ndarray, "n c H W"],
        rows: Int64[np.ndarray, " n"],
        sizes: Int64[np.ndarray, "n 2"],
        part: slice,
        *,
        clear: bool,
    ) -> None:
        if self._grid is not None:  # "wrap" writes straight to its place, and `sizes` has refused what is too large
            np.take(self._grid, self._places[rows[part]], axis=0, out=canvases[part], mode="wrap")
            return
        in_strips = clear and prod(canvases.shape[1:]) > _CLEARED_WHOLE
        if clear and not in_strips:
            canvases[part] = 0
        for canvas, row, (height, width) in zip(canvases[part], rows[part].tolist(), sizes[part].tolist(), strict=True):
            canvas[:, :height, :width] = self._picture(row)
            if in_strips:
                canvas[:, height:] = 0
                canvas[:, :height, width:] = 0

    def _picture(self, row: int) -> UInt8[np.ndarray, "c H W"]:
        height, width = self.sizes[row].tolist()
        start = self._starts[row]
        flat = self._flat[self._file[row]]
        return flat[start : start + self.channels * height * width].reshape(self.channels, height, width)


def page_locked(shape: tuple[int, ...]) -> UInt8[Tensor, "n c H W"]:
    """Memory with anything in it, from which a GPU copies without the host; torch keeps it for the next batch."""
    return torch.empty(shape, dtype=torch.uint8, pin_memory=True)
