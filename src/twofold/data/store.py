"""The store: images decoded once, found again by the content of their files, shared by all data sets and processes.

    <cache>/decoded/<rules>/    all images that were decoded by the same rules (`pool`)
    <cache>/openings/<key>.npz  where the images of a source lie that has not changed since (`openings`)
    <cache>/files/<key>.npz     what its files hold, so that only those that changed are read again

An image is decoded again only where its own content or the rules of decoding changed.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from twofold.data.cache import cache_errors
from twofold.data.decode import Rules
from twofold.data.file_pixels import FilePixels, open_files
from twofold.data.openings import Opening, opening_path, read_opening, write_opening
from twofold.data.pixels import Pixels
from twofold.data.pool import FORMAT, Held, alone, bring_in, pool_of, settings_of
from twofold.data.record import Source, digest, digest_of_texts
from twofold.data.segment_index import as_hex
from twofold.data.traits import PixelFacts, Traits
from twofold.errors import TwofoldError

# Notes that never changed a pixel.
_AS_EVER = {"turned", "transparent", "constant", "cmyk", "profile unused", "frames", "hdr"}
_PORTION = 2**16  # images whose digests are text at a time


@dataclass(frozen=True)
class Quarantined:
    """A file that could not be read, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Store:
    """The readable images of a source."""

    name: str  # of their places and contents
    pixels: Pixels | FilePixels
    records: Int64[np.ndarray, " n"]  # which record of the source each row is
    unreadable: dict[int, str]  # record of the source -> reason
    facts: PixelFacts


def open_store(source: Source, stamp: str, *, rules: Rules, cache: Path, show_progress: bool) -> Store:
    """The images of a source with this stamp: at once where nothing changed; else those are decoded that are new.

    Raises TwofoldError where the cache cannot be written or has no space for them, and RangeNeededError at the first
    image of more than 8 bits where the rules leave the range to the data.
    """
    place = opening_path(cache, digest([FORMAT, stamp, settings_of(rules)])[:32])
    with cache_errors(cache):
        store = _kept(place, cache, rules.channels)
        if store is not None:
            return store
        places = digest([[record.path for record in source.records], settings_of(rules)])[:24]
        with alone(pool_of(cache, rules), places):
            store = _kept(place, cache, rules.channels)  # by the process that was waited for
            if store is not None:
                return store
            held = bring_in(source, rules, cache, show_progress=show_progress)
            opening = _opening(source, held, places, pool_of(cache, rules).relative_to(cache))
            write_opening(place, opening)
            store = _store(opening, cache, rules.channels)
    if store is None:
        raise TwofoldError(f"the store in '{cache}' was removed while it was opened. Run the command again.")
    return store


def open_each_time(
    source: Source, stamp: str, *, rules: Rules, cache: Path, show_progress: bool
) -> tuple[Rules, Store]:
    """The images of a source, decoded whenever they are read, and the rules with their range: nothing is kept."""
    rules, opening, pixels = open_files(source, stamp, rules=rules, cache=cache, show_progress=show_progress)
    name = digest([opening.name, settings_of(rules)])
    return rules, Store(name, pixels, opening.records, opening.unreadable, opening.facts)


def _kept(place: Path, cache: Path, channels: int) -> Store | None:
    """The store of an opening that was kept, None where there is none or pixels of it are gone. Raises OSError."""
    opening = read_opening(place)
    if opening is None:
        return None
    with suppress(OSError):  # of when it was last used, for `twofold cache`
        os.utime(place)
    return _store(opening, cache, channels)


def _store(opening: Opening, cache: Path, channels: int) -> Store | None:
    files = [cache / opening.pool / f"{segment}.pixels" for segment in opening.segments]
    try:
        pixels = Pixels(files, opening.sizes, channels, file=opening.segment, starts=opening.starts)
    except (FileNotFoundError, ValueError):
        return None
    return Store(opening.name, pixels, opening.records, opening.unreadable, opening.facts)


def _opening(source: Source, held: Held, places: str, pool: Path) -> Opening:
    """Where each image lies. Raises TwofoldError where one is gone already."""
    index = held.index
    rows = index.find(held.contents)
    if (rows < 0).any():
        raise TwofoldError(f"images of '{source.name}' were removed while they were opened. Run the command again.")
    kinds: list[dict[str, Any]] = [json.loads(kind) for kind in index.kinds]
    is_readable = np.array(["unreadable" not in kind for kind in kinds], bool)[index.kind[rows]]
    records, bad = np.flatnonzero(is_readable), np.flatnonzero(~is_readable)
    own = rows[records]
    segments, segment = np.unique(index.segment[own], return_inverse=True)
    counts = np.bincount(index.kind[own], minlength=len(kinds)).tolist()
    traits = [
        Traits(**{**kind, "notes": tuple(kind["notes"])}) if count else None
        for kind, count in zip(kinds, counts, strict=True)
    ]
    return Opening(
        name=f"{places}-{digest_of_texts(_decided(held, rows, kinds))[:32]}",
        source=source.name,
        pool=pool.as_posix(),
        segments=[index.segments[place] for place in segments.tolist()],
        segment=segment.astype(np.int32),
        starts=index.starts[own],
        sizes=index.sizes[own].astype(np.int64),
        records=records,
        unreadable={
            at: kinds[kind]["unreadable"] for at, kind in zip(bad.tolist(), index.kind[rows[bad]].tolist(), strict=True)
        },
        facts=PixelFacts.count({one: count for one, count in zip(traits, counts, strict=True) if one is not None}),
    )


def _decided(held: Held, rows: Int64[np.ndarray, " n"], kinds: list[dict[str, Any]]) -> Iterator[str]:
    """The digest of each content, with what was decided about it beyond the rules of the first version."""
    notes = ["".join(f"/{note}" for note in sorted(set(kind.get("notes", ())) - _AS_EVER)) for kind in kinds]
    for start in range(0, len(rows), _PORTION):
        part = slice(start, start + _PORTION)
        for content, kind in zip(as_hex(held.contents[part]), held.index.kind[rows[part]].tolist(), strict=True):
            yield content + notes[kind]
