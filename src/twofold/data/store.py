"""Pictures decoded once: packed uint8 pixels in the cache, found again by the content of the files.

    <cache>/stores/<places>-<contents>/   pixels.bin, sizes.npy, records.npy, store.json
    <cache>/stamps/<stamp>                the name of the store of a source that has not changed since

`places` is a digest of the records' paths and of how they are decoded, `contents` one of the files' bytes.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from twofold.data.cache import building_folder, cache_errors, clean, publish, set_aside
from twofold.data.decode import decode, reason_of
from twofold.data.parallel import in_order
from twofold.data.pixels import Pixels
from twofold.data.record import Source, digest
from twofold.errors import TwofoldError
from twofold.files import sync_file, write_atomically

FORMAT = 1  # of the files, and of the rules by which pictures are decoded


@dataclass(frozen=True)
class Quarantined:
    """A file that could not be read, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Store:
    """The readable pictures of a source."""

    name: str
    pixels: Pixels
    records: Int64[np.ndarray, " n"]  # which record of the source each row is
    unreadable: dict[int, str]  # record of the source -> reason


def open_store(source: Source, *, channels: int, short_px: int | None, cache: Path, show_progress: bool) -> Store:
    """The store of a source: at once where nothing changed, by hashing where files moved, else by decoding them.

    Raises TwofoldError where the cache cannot be written.
    """
    settings = [FORMAT, channels, short_px]
    stores = cache / "stores"
    stamp = cache / "stamps" / digest([source.stamp(), settings])
    places = digest([[r.path for r in source.records], settings])[:24]
    with cache_errors(cache):
        known = stamp.read_text(encoding="utf-8", errors="replace") if stamp.is_file() else ""
        store = _load(stores / known, channels) if known else None
        if store is None and any(stores.glob(f"{places}-*")):
            contents = _hash(source, show_progress)
            store = _load(stores / _name(places, contents), channels)
        if store is None:
            clean(stores)
            name = _build(source, stores, places, channels=channels, short_px=short_px, show_progress=show_progress)
            store = _load(stores / name, channels)
        if store is None:
            raise TwofoldError(f"the store in '{stores}' was removed while it was opened. Run the command again.")
    if known != store.name:
        with suppress(OSError):  # a cache that may only be read: the pictures are hashed each time
            stamp.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(stamp, store.name.encode())
    return store


def _name(places: str, contents: list[str]) -> str:
    return f"{places}-{digest(contents)[:32]}"


def _hash(source: Source, show_progress: bool) -> list[str]:
    count = len(source.records)
    return list(in_order(partial(_digest_at, source), count, text="Hashing pictures", show=show_progress))


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
    reason: str = ""


def _decode_at(source: Source, channels: int, short_px: int | None, index: int) -> _Outcome:
    try:
        content = source.read(index)
    except Exception as error:  # see _digest_at
        return _Outcome(_failure_digest(error), reason=reason_of(error))
    name = _content_digest(content)
    try:
        pixels = decode(content, channels=channels, short_px=short_px)
    except TwofoldError as error:
        return _Outcome(name, reason=str(error))
    return _Outcome(name, np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def _build(
    source: Source, stores: Path, places: str, *, channels: int, short_px: int | None, show_progress: bool
) -> str:
    """Decode every picture into a new folder in `stores`; returns its name."""
    with building_folder(stores) as folder:
        work = partial(_decode_at, source, channels, short_px)
        outcomes = in_order(work, len(source.records), text="Decoding pictures", show=show_progress)
        name = _name(places, _write(folder, outcomes))
        final = stores / name
        set_aside(final, folder.parent, lambda store: _load(store, channels) is None)
        publish(folder, final)
    return name


def _write(folder: Path, outcomes: Iterator[_Outcome]) -> list[str]:
    """The files of a store; returns the digests of the contents."""
    contents: list[str] = []
    sizes: list[tuple[int, int]] = []
    records: list[int] = []
    unreadable: dict[int, str] = {}
    with (folder / "pixels.bin").open("wb") as file:
        for index, outcome in enumerate(outcomes):
            contents.append(outcome.content)
            if outcome.pixels is None:
                unreadable[index] = outcome.reason
            else:
                file.write(outcome.pixels.data)
                sizes.append(outcome.pixels.shape[1:])
                records.append(index)
    np.save(folder / "sizes.npy", np.array(sizes, np.int64).reshape(-1, 2))
    np.save(folder / "records.npy", np.array(records, np.int64))
    about = json.dumps({"format": FORMAT, "unreadable": unreadable})
    (folder / "store.json").write_text(about, encoding="utf-8")
    for path in folder.iterdir():
        sync_file(path)
    return contents


def _load(folder: Path, channels: int) -> Store | None:
    """A finished store, or None where there is none or its files do not fit together.

    Raises OSError where they cannot be opened.
    """
    try:
        sizes, records = np.load(folder / "sizes.npy"), np.load(folder / "records.npy")
        reasons = json.loads((folder / "store.json").read_text(encoding="utf-8"))["unreadable"]
        whole = (folder / "pixels.bin").stat().st_size == int(sizes.prod(axis=1).sum()) * channels
        pixels = Pixels(folder / "pixels.bin", sizes, channels) if whole else None
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, EOFError):
        return None  # any other OSError says nothing about the store, so that it must not be removed for it
    if pixels is None:
        return None
    return Store(folder.name, pixels, records, {int(index): reason for index, reason in reasons.items()})
