"""What lies in the cache: listed, held against its checksums, and rid of what is not used any more."""

import json
import shutil
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from twofold.data.openings import Opening, read_opening
from twofold.data.segment_index import SegmentIndex, read_segment, seal
from twofold.data.segments import recover

_DAY_S = 24 * 3600.0
_EARLIER = ("stores", "stamps")  # of earlier versions, which this one does not read
_KINDS = {
    "curation": "embeddings and maps that were kept",
    "torchvision": "data sets that torchvision downloaded",
    "openings": "where the images of data lie",
    "files": "what files of data hold",
    "tiles": "where the tiles of large images lie",
    "pages": "where the pages of files lie",
    "archives": "where the images in archives lie",
    "ranges": "ranges that were measured",
}


@dataclass(frozen=True)
class Part:
    """A part of the cache."""

    name: str  # its folder, below that of the cache
    what: str
    bytes: int
    images: int | None = None  # None: it holds no decoded images
    unused_days: float | None = None  # since data were last opened from it; None: not known


def parts_of(cache: Path) -> list[Part]:
    """All parts, those of decoded images first."""
    used = {pool: max(times) for pool, times in _uses(cache).items()}
    parts = []
    for pool in sorted(path for path in cache.glob("decoded/*") if path.is_dir()):
        segments = [one for path in pool.glob("*.npz") if (one := read_segment(path)) is not None]
        name = pool.relative_to(cache).as_posix()
        days = (time.time() - used[name]) / _DAY_S if name in used else None
        parts.append(Part(name, _rules(pool), _bytes(pool), sum(map(len, segments)), days))
    for folder in sorted(path for path in cache.glob("*") if path.is_dir() and path.name != "decoded"):
        is_old = folder.name in _EARLIER
        what = "of an earlier version, not read any more" if is_old else _KINDS.get(folder.name, "other files")
        parts.append(Part(folder.name, what, _bytes(folder)))
    return parts


def prune(cache: Path, unused_days: float) -> int:
    """Remove images of data that were not opened for so many days, and all of earlier versions; returns the bytes.

    What is left of killed processes is sealed first. Raises OSError where something cannot be removed.
    """
    before, limit = _bytes(cache), time.time() - unused_days * _DAY_S
    for path in (*cache.glob("openings/*.npz"), *cache.glob("files/*.npz")):
        if path.stat().st_mtime < limit:
            path.unlink()
    used = {(opening.pool, segment) for _, opening in _openings(cache) for segment in opening.segments}
    for pool in cache.glob("decoded/*"):
        recover(pool)
        for index in pool.glob("*.npz"):
            if (pool.relative_to(cache).as_posix(), index.stem) not in used and index.stat().st_mtime < limit:
                index.unlink()  # first, so that nobody looks for pixels that are gone
                index.with_suffix(".pixels").unlink(missing_ok=True)
    for name in _EARLIER:
        if (cache / name).is_dir():
            shutil.rmtree(cache / name)
    return before - _bytes(cache)


def check(cache: Path) -> list[str]:
    """Hold all images against their checksums: a line on each segment with damage.

    Its damaged images are taken out, and decoded again when they are next asked for. Raises OSError.
    """
    damaged = []
    for path in sorted(cache.glob("decoded/*/*.npz")):
        index = read_segment(path)
        name = path.relative_to(cache).as_posix()
        if index is None:
            path.unlink()
            damaged.append(f"{name}: its index is damaged, its images will be decoded again")
        elif bad := len(index) - len(whole := _whole(path, index)):
            _forget(cache, path)
            seal(path.with_suffix(""), [index.row(one) for one in whole])
            damaged.append(f"{name}: {bad:,} of {len(index):,} images are damaged and will be decoded again")
    return damaged


def _whole(path: Path, index: SegmentIndex) -> list[int]:
    """The rows of a segment whose pixels have their checksum."""
    rows = []
    pixels = path.with_suffix(".pixels")
    if not pixels.exists():
        return [row for row in range(len(index)) if index.lengths[row] == 0]
    with pixels.open("rb") as file:
        for row, (start, length) in enumerate(zip(index.starts.tolist(), index.lengths.tolist(), strict=True)):
            file.seek(start)
            if zlib.crc32(file.read(length)) == index.checks[row]:
                rows.append(row)
    return rows


def _forget(cache: Path, segment: Path) -> None:
    """Remove the openings that read from a segment."""
    pool = segment.parent.relative_to(cache).as_posix()
    for path, opening in _openings(cache):
        if opening.pool == pool and segment.stem in opening.segments:
            path.unlink()


def _openings(cache: Path) -> Iterator[tuple[Path, Opening]]:
    for path in sorted(cache.glob("openings/*.npz")):
        if (opening := read_opening(path)) is not None:
            yield path, opening


def _uses(cache: Path) -> dict[str, list[float]]:
    uses: dict[str, list[float]] = {}
    for path, opening in _openings(cache):
        uses.setdefault(opening.pool, []).append(path.stat().st_mtime)
    return uses


def _rules(pool: Path) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        rules = json.loads((pool / "rules.json").read_text(encoding="utf-8"))
        side = f"short side {rules['short_px']} px" if rules["short_px"] else "whole size"
        range_ = f", range {' to '.join(f'{end:g}' for end in rules['range'])}" if rules["range"] else ""
        return f"images of {rules['channels']} channels, {side}{range_}"
    return "images"


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
