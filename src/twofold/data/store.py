"""Images decoded once: packed uint8 pixels in the cache, found again by the content of the files.

    <cache>/stores/<places>-<contents>/   pixels.bin, sizes.npy, records.npy, store.json
    <cache>/stamps/<stamp>                the name of the store of a source that has not changed since

`places` is a digest of the records' paths and of how they are decoded, `contents` one of the files' bytes and of what
was decided on decoding them beyond the rules of the first version.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from twofold.data.cache import building_folder, cache_errors, clean, publish, set_aside
from twofold.data.decode import Rules, decode, reason_of
from twofold.data.formats import RangeNeededError
from twofold.data.parallel import in_order
from twofold.data.pixels import Pixels
from twofold.data.record import Source, digest
from twofold.data.traits import PixelFacts, Traits
from twofold.errors import TwofoldError
from twofold.files import sync_file, write_atomically

FORMAT = 3  # of the files, and of the rules by which images are decoded; older stores are decoded anew
_FIRST = 1  # in the names, so that plain images have the names, and runs the fingerprints, that they always had
_AS_EVER = {"turned", "transparent", "constant", "cmyk", "profile unused"}  # notes of traits that never changed a pixel


@dataclass(frozen=True)
class Quarantined:
    """A file that could not be read, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Store:
    """The readable images of a source."""

    name: str
    pixels: Pixels
    records: Int64[np.ndarray, " n"]  # which record of the source each row is
    unreadable: dict[int, str]  # record of the source -> reason
    facts: PixelFacts


def open_store(source: Source, stamp: str, *, rules: Rules, cache: Path, show_progress: bool) -> Store:
    """The store of a source with this stamp: at once where nothing changed, by hashing where files moved, else decoded.

    Raises TwofoldError where the cache cannot be written, and RangeNeededError at the first image of more than 8 bits
    where the rules leave the range to the data.
    """
    settings, channels = _settings(rules), rules.channels
    stores = cache / "stores"
    place = cache / "stamps" / digest([stamp, settings])
    places = digest([[r.path for r in source.records], settings])[:24]
    with cache_errors(cache):
        known = place.read_text(encoding="utf-8", errors="replace") if place.is_file() else ""
        store = _load(stores / known, channels) if known else None
        if store is None and (known_contents := _contents(stores, places)):
            name = known_contents.get(digest(_hash(source, show_progress)))
            store = _load(stores / name, channels) if name else None
        if store is None:
            clean(stores)
            name = _build(source, stores, places, rules=rules, show_progress=show_progress)
            store = _load(stores / name, channels)
        if store is None:
            raise TwofoldError(f"the store in '{stores}' was removed while it was opened. Run the command again.")
    if known != store.name:
        with suppress(OSError):  # a cache that may only be read: the images are hashed each time
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(place, store.name.encode())
    return store


def _settings(rules: Rules) -> list[object]:
    """What is in a store's name: only what differs from the first version's rules."""
    changed: list[object] = [rules.range, rules.range_from, rules.truncated]
    plain = changed == [None, "data", "read"]
    return [_FIRST, rules.channels, rules.short_px, *([] if plain else changed)]


def _contents(stores: Path, places: str) -> dict[str, str]:
    """Of the stores of files at these places: the digest of their contents -> the name."""
    abouts = {folder.name: _about(folder) or {} for folder in stores.glob(f"{places}-*")}
    return {about["contents"]: name for name, about in abouts.items() if about.get("format") == FORMAT}


def _name(places: str, contents: list[str]) -> str:
    return f"{places}-{digest(contents)[:32]}"


def _hash(source: Source, show_progress: bool) -> list[str]:
    count = len(source.records)
    return list(in_order(partial(_digest_at, source), count, text="Hashing images", show=show_progress))


def _digest_at(source: Source, index: int) -> str:
    try:
        return _content_digest(source.read(index))
    except Exception as error:  # whatever keeps a file from being read belongs to its content here
        return _failure_digest(error)


def _content_digest(content: bytes | Image.Image) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    return digest(["decoded", content.mode, content.size, hashlib.sha256(content.tobytes()).hexdigest()])


def _failure_digest(error: Exception) -> str:
    return digest(["unreadable", reason_of(error)])


@dataclass(frozen=True)
class _Outcome:
    content: str
    pixels: UInt8[np.ndarray, "c H W"] | None = None
    traits: Traits | None = None
    reason: str = ""


def _decode_at(source: Source, rules: Rules, index: int) -> _Outcome:
    try:
        content = source.read(index)
        name = _content_digest(content)
    except Exception as error:  # see _digest_at
        return _Outcome(_failure_digest(error), reason=reason_of(error))
    try:
        decoded = decode(content, rules)
    except RangeNeededError:
        raise
    except TwofoldError as error:
        return _Outcome(name, reason=str(error))
    return _Outcome(name, np.ascontiguousarray(decoded.pixels.transpose(2, 0, 1)), decoded.traits)


def _build(source: Source, stores: Path, places: str, *, rules: Rules, show_progress: bool) -> str:
    """Decode every image into a new folder in `stores`; returns its name."""
    with building_folder(stores) as folder:
        work = partial(_decode_at, source, rules)
        outcomes = in_order(work, len(source.records), text="Decoding images", show=show_progress)
        name = _name(places, _write(folder, outcomes))
        final = stores / name
        set_aside(final, folder.parent, lambda store: _load(store, rules.channels) is None)
        publish(folder, final)
    return name


def _write(folder: Path, outcomes: Iterator[_Outcome]) -> list[str]:
    """The files of a store; returns the digests of the contents, with what was decided about them."""
    contents: list[str] = []
    decided: list[str] = []
    traits: list[Traits] = []
    sizes: list[tuple[int, int]] = []
    records: list[int] = []
    unreadable: dict[int, str] = {}
    with (folder / "pixels.bin").open("wb") as file:
        for index, outcome in enumerate(outcomes):
            contents.append(outcome.content)
            notes = sorted(set(outcome.traits.notes) - _AS_EVER) if outcome.traits else []
            decided.append("/".join([outcome.content, *notes]))
            if outcome.pixels is None:
                unreadable[index] = outcome.reason
            else:
                assert outcome.traits is not None
                traits.append(outcome.traits)
                file.write(outcome.pixels.data)
                sizes.append(outcome.pixels.shape[1:])
                records.append(index)
    np.save(folder / "sizes.npy", np.array(sizes, np.int64).reshape(-1, 2))
    np.save(folder / "records.npy", np.array(records, np.int64))
    facts = asdict(PixelFacts.count(traits))
    about = {"format": FORMAT, "contents": digest(contents), "facts": facts, "unreadable": unreadable}
    (folder / "store.json").write_text(json.dumps(about), encoding="utf-8")
    for path in folder.iterdir():
        sync_file(path)
    return decided


def _load(folder: Path, channels: int) -> Store | None:
    """A finished store, or None where there is none or its files do not fit together.

    Raises OSError where they cannot be opened.
    """
    try:
        about = _about(folder)
        if about is None or about["format"] != FORMAT:
            return None
        sizes, records = np.load(folder / "sizes.npy"), np.load(folder / "records.npy")
        reasons, facts = about["unreadable"], PixelFacts.from_dict(about["facts"])
        whole = (folder / "pixels.bin").stat().st_size == int(sizes.prod(axis=1).sum()) * channels
        pixels = Pixels(folder / "pixels.bin", sizes, channels) if whole else None
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError, EOFError):
        return None  # any other OSError says nothing about the store, so that it must not be removed for it
    if pixels is None:
        return None
    return Store(folder.name, pixels, records, {int(index): reason for index, reason in reasons.items()}, facts)


def _about(folder: Path) -> dict[str, Any] | None:
    """The content of store.json; None where there is none or it is damaged."""
    try:
        about = json.loads((folder / "store.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return about if isinstance(about, dict) else None
