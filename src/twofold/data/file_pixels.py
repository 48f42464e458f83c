"""Images that are decoded each time they are read, for data larger than the disk. Only their sizes are kept."""

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64, UInt8

from twofold.data.decode import Rules, decode, stored_size
from twofold.data.formats import orientation_of, reason_of
from twofold.data.openings import Opening, opening_path, read_opening, write_opening
from twofold.data.parallel import cores, in_order
from twofold.data.pixels import ImageBatch, page_locked
from twofold.data.quiet import quiet
from twofold.data.ranges import find_range
from twofold.data.readers import opened
from twofold.data.record import Source, digest
from twofold.data.samples import Samples
from twofold.data.traits import PixelFacts
from twofold.errors import TwofoldError

_FORMAT = 2  # of what is kept


class FilePixels:
    """Images of a source, an image a row, each decoded when it is read; by all cores at once."""

    def __init__(self, source: Source, opening: Opening, rules: Rules) -> None:
        self.sizes, self.channels = opening.sizes, rules.channels  # height, width, as the header tells them
        self._source, self._records, self._rules = source, opening.records, rules

    def __len__(self) -> int:
        return len(self.sizes)

    def read(
        self,
        rows: Int64[np.ndarray, " n"],
        *,
        pinned: bool = False,
        readers: Executor | None = None,  # noqa: ARG002  # decoding needs more threads than copying
    ) -> ImageBatch:
        """As `Pixels.read`; `readers` are not used. Raises TwofoldError for a file that can no longer be read."""
        images = list(self._threads.map(self._image, self._records[rows].tolist()))
        sizes = np.array([image.shape[1:] for image in images], np.int64).reshape(-1, 2)
        shape = (len(rows), self.channels, *sizes.max(axis=0, initial=0).tolist())
        canvases = page_locked(shape).zero_() if pinned else torch.zeros(shape, dtype=torch.uint8)
        for canvas, image in zip(canvases.numpy(), images, strict=True):
            canvas[:, : image.shape[1], : image.shape[2]] = image
        return ImageBatch(canvases, torch.from_numpy(sizes))

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(cores(), thread_name_prefix="twofold-decode")

    def _image(self, record: int) -> UInt8[np.ndarray, "c H W"]:
        try:
            with quiet():
                return decode(self._source.read(record), self._rules).pixels.transpose(2, 0, 1)
        except (OSError, TwofoldError) as error:
            raise TwofoldError(
                f"'{self._source.records[record].path}' cannot be read ({reason_of(error)}), but its header could. "
                "Fix or remove it, or decode once (--decode once), which sets such files aside."
            ) from error


def open_files(
    source: Source, stamp: str, *, rules: Rules, cache: Path, show_progress: bool
) -> tuple[Rules, Opening, FilePixels]:
    """The images of a source whose headers can be read, and the rules with the range for those of more than 8 bits.

    The headers are read once for each state of the files (`stamp`).
    """
    bands = [rules.bands, rules.pages] if rules.bands is not None or rules.pages != "first" else []
    place = opening_path(cache, digest(["files", _FORMAT, stamp, rules.channels, rules.short_px, *bands])[:32])
    opening = read_opening(place)
    if opening is None:
        opening = _opening(source, stamp, rules, show_progress)
        write_opening(place, opening)
    if rules.range is None and rules.range_from == "data":
        measured = find_range(source, stamp, cache, rules) if opening.facts.notes else None
        rules = replace(rules, range=measured, range_from="type" if measured is None else "data")
    return rules, opening, FilePixels(source, opening, rules)


class _Header(NamedTuple):
    size: tuple[int, int] = (0, 0)  # height, width, once decoded
    is_deep: bool = False
    reason: str = ""


def _opening(source: Source, stamp: str, rules: Rules, show_progress: bool) -> Opening:
    count = len(source.records)
    headers = list(in_order(partial(_header, source, rules), count, text="Reading headers", show=show_progress))
    records = np.flatnonzero([not header.reason for header in headers])
    deep = sum(header.is_deep for header in headers)
    return Opening(
        name=f"files-{stamp}",
        source=source.name,
        pool="",
        segments=[],
        segment=np.zeros(len(records), np.int32),
        starts=np.zeros(len(records), np.int64),
        sizes=np.array([headers[record].size for record in records.tolist()], np.int64).reshape(-1, 2),
        records=records,
        unreadable={record: header.reason for record, header in enumerate(headers) if header.reason},
        facts=PixelFacts(notes={"data range": deep} if deep else {}),
    )


def _header(source: Source, rules: Rules, index: int) -> _Header:
    try:
        with quiet(), opened(source, index, rules) as image:
            width, height = stored_size(image.size, rules.short_px)
            orientation = image.orientation if isinstance(image, Samples) else orientation_of(image)
            size = (width, height) if 5 <= orientation <= 8 else (height, width)
            return _Header(size, isinstance(image, Samples) and image.is_deep)
    except Exception as error:  # as in decode
        return _Header(reason=reason_of(error))
