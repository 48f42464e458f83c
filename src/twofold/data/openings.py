"""Where each image of a source lies in the store: kept by the source's stamp, so that what is unchanged opens at once.

<cache>/openings/<key>.npz    of a source and the rules of decoding
<cache>/tiles/<key>.npz       where the tiles of a source's large images lie
<cache>/pages/<key>.npz       where the pages of a source's files lie
<cache>/files/<key>.npz       what the files of a source hold, by their places, sizes and times
"""

import io
import json
import os
import zipfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32, Int64, Shaped

from twofold.data.record import Source, Stamped, digest
from twofold.data.segment_index import Contents
from twofold.data.traits import PixelFacts
from twofold.files import write_atomically

_BROKEN = (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)
_FILE = np.dtype("S16")


@dataclass(frozen=True)
class Opening:
    """The readable images of a source, an image a row."""

    name: str  # of their contents and places
    source: str  # as the user gave it
    pool: str  # folder of the segments, below that of the cache
    segments: list[str]
    segment: Int32[np.ndarray, " n"]  # place in `segments`
    starts: Int64[np.ndarray, " n"]  # first byte
    sizes: Int64[np.ndarray, "n 2"]  # height, width in pixels
    records: Int64[np.ndarray, " n"]  # which record of the source each row is
    unreadable: dict[int, str]  # record of the source -> reason
    facts: PixelFacts


_COLUMNS = ("segment", "starts", "sizes", "records")


def opening_path(cache: Path, key: str) -> Path:
    """The file of an opening."""
    return cache / "openings" / f"{key}.npz"


def write_opening(path: Path, opening: Opening) -> None:
    """Keep an opening; not where the cache may only be read."""
    about = {name: value for name, value in vars(opening).items() if name not in _COLUMNS}
    columns = {name: getattr(opening, name) for name in _COLUMNS}
    columns["sizes"] = opening.sizes.astype(np.int32)
    _write(path, columns, {**about, "facts": asdict(opening.facts)})


def read_opening(path: Path) -> Opening | None:
    """None where there is none, or it is damaged. Raises OSError where it cannot be opened."""
    try:
        columns, about = _read(path)
        unreadable = {int(index): reason for index, reason in about.pop("unreadable").items()}
        facts, sizes = PixelFacts.from_dict(about.pop("facts")), columns.pop("sizes").astype(np.int64)
        return Opening(**about, **columns, sizes=sizes, unreadable=unreadable, facts=facts)
    except (*_BROKEN, FileNotFoundError, NotADirectoryError):
        return None


def file_keys(source: Source) -> Shaped[np.ndarray, " n"] | None:
    """16 bytes for each image, which change with its file's place, size or times; None where there are no files."""
    if not isinstance(source, Stamped):
        return None
    texts = source.file_stamps()
    return np.frombuffer(
        b"".join(blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest() for text in texts), _FILE
    )


def known_contents(cache: Path, source: Source, keys: Shaped[np.ndarray, " n"]) -> tuple[Contents, np.ndarray]:
    """What the files with these keys held when they were last read, and of which of them that is known."""
    contents = np.zeros(len(keys), "S32")
    try:
        columns, _ = _read(_files_path(cache, source))
        known, found = columns["keys"], columns["contents"]
        places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        is_known = known[places] == keys
        contents[is_known] = found[places[is_known]]
    except (*_BROKEN, OSError, IndexError):
        return contents, np.zeros(len(keys), bool)
    return contents, is_known


def keep_contents(
    cache: Path, source: Source, keys: Shaped[np.ndarray, " n"], contents: Contents, is_known: np.ndarray
) -> None:
    """Keep what files hold, those of which it is known; not where the cache may only be read."""
    order = np.argsort(keys[is_known], kind="stable")
    columns = {"keys": keys[is_known][order], "contents": contents[is_known][order]}
    _write(_files_path(cache, source), columns, {"source": source.name})


def keep_parts(path: Path, parts: Int64[np.ndarray, "n k"], left_out: int = 0) -> None:
    """Keep where the tiles or pages of a source lie, and how many others there are, unless the cache is read only."""
    _write(path, {"parts": parts}, {"left_out": left_out})


def kept_parts(path: Path) -> tuple[Int64[np.ndarray, "n k"], int] | None:
    """What was kept; None where there is nothing, or it is damaged."""
    try:
        columns, about = _read(path)
        return columns["parts"], int(about["left_out"])
    except (*_BROKEN, OSError):
        return None


def _files_path(cache: Path, source: Source) -> Path:
    return cache / "files" / f"{digest([os.path.realpath(source.name)])[:32]}.npz"


def _write(path: Path, columns: dict[str, Any], about: dict[str, Any]) -> None:
    stream = io.BytesIO()
    np.savez(stream, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **columns)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, stream.getvalue())


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    with path.open("rb") as file, np.load(file) as arrays:
        columns = {name: arrays[name] for name in arrays.files}
    about = json.loads(columns.pop("about").tobytes())
    if not isinstance(about, dict):
        raise ValueError("no file of an opening")
    return columns, about
