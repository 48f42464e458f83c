"""What lies where in an archive: the list of its members, made once for each state of the file and kept in the cache.

<cache>/archives/<key>.npz
"""

import io
import json
import stat
import struct
import tarfile
import zipfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from twofold.console import say
from twofold.data.formats import extensions
from twofold.data.record import digest, shown
from twofold.data.sources.data_file import DataFile
from twofold.data.sources.gzip_blocks import GzipBlocks
from twofold.data.sources.listing import TABLES, Listing, extension_of, left_out_by_name
from twofold.data.sources.read_at import ReadAt
from twofold.data.sources.sidecars import SIDECARS, Told, told_of_each
from twofold.errors import TwofoldError
from twofold.files import write_atomically

_FORMAT = 1
STORED, DEFLATED = 0, 8  # as zip counts; all in a tar is stored
_ENCRYPTED = 1  # a zip's flag
_LONG = 2**27  # bytes at an address; reading through more is announced
_LARGEST_SIDECAR = 2**20  # bytes; a larger .json is no label


@dataclass
class Members:
    """The images in an archive, sorted by path."""

    paths: list[str] = field(default_factory=list)  # below the archive
    starts: Int64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0, np.int64))  # of a tar: first byte;
    #                                                                     of a zip: of the header before the content
    sizes: Int64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0, np.int64))  # bytes as they lie there
    methods: UInt8[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0, np.uint8))  # of compression; 255: none
    told: list[Told] = field(default_factory=list)  # label and group by a file of the same name; empty where none has
    others: Counter[str] = field(default_factory=Counter)  # extension -> files that are no images
    hidden: Counter[str] = field(default_factory=Counter)  # kind of what the system keeps -> names
    tables: list[str] = field(default_factory=list)

    def listing(self) -> Listing:
        """What is no image, as a folder tells of it."""
        return Listing(others=self.others, hidden=self.hidden, tables=self.tables)


def read_members(file: DataFile, cache: Path, blocks: GzipBlocks | None) -> Members:
    """The members of an archive, from the cache where it has not changed. `blocks`: of a .tar.gz.

    Raises TwofoldError for an archive that is damaged or cannot be read.
    """
    key = digest(["archive", _FORMAT, file.place, file.stamp, sorted(extensions())])[:32]
    place = cache / "archives" / f"{key}.npz"
    members = _kept(place)
    if members is None:
        if not isinstance(file.path, Path) and file.size > _LONG:
            say(f"Reading through '{file.name}' ({file.size:,} bytes) for where its images lie; this is kept")
        try:
            members = _zip_members(file) if file.path.suffix.lower() == ".zip" else _tar_members(file, blocks)
        except (OSError, zipfile.BadZipFile, tarfile.TarError, struct.error, EOFError) as error:
            raise TwofoldError(
                f"the archive '{file.name}' cannot be read ({error}). Write it again, or give the unpacked folder."
            ) from error
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(place, _as_bytes(members))
    return members


@dataclass(frozen=True)
class _Entry:
    start: int
    size: int
    method: int


def _zip_members(file: DataFile) -> Members:
    with file.open() as stream, zipfile.ZipFile(stream) as archive:
        entries = {}
        for info in archive.infolist():
            method = 255 if info.flag_bits & _ENCRYPTED else info.compress_type
            if not info.is_dir() and not stat.S_ISLNK(info.external_attr >> 16):
                entries[_plain(info.filename)] = _Entry(info.header_offset, info.compress_size, method)
    return _sorted_members(entries, {})


def _tar_members(file: DataFile, blocks: GzipBlocks | None) -> Members:
    content = file.open() if blocks is None else io.BufferedReader(ReadAt(blocks.read_at), 2**16)
    entries: dict[str, _Entry] = {}
    sidecars: dict[str, bytes] = {}
    with content as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        for info in archive:
            name = _plain(info.name)
            if info.isreg() and not info.issparse():
                entries[name] = _Entry(info.offset_data, info.size, STORED)
                if extension_of(name) in SIDECARS and info.size <= _LARGEST_SIDECAR:
                    sidecar = archive.extractfile(info)
                    sidecars[name] = b"" if sidecar is None else sidecar.read()
            elif info.islnk() and (target := _plain(info.linkname)) in entries:
                entries[name] = entries[target]
            vars(archive)["members"] = []  # else it keeps all of them
    return _sorted_members(entries, sidecars)


def _plain(name: str) -> str:
    """A member's path with "/" between its parts and nothing that leads elsewhere: it is only a name here."""
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", ".", ".."))


def _sorted_members(entries: dict[str, _Entry], sidecars: dict[str, bytes]) -> Members:
    members = Members()
    images = []
    for name in sorted(entries):
        if (why := left_out_by_name(name)) is not None:
            members.hidden[why] += 1
        elif (end := extension_of(name.rpartition("/")[2])) in extensions():
            images.append(name)
        else:
            members.others[end] += 1
            if end in TABLES:
                members.tables.append(shown(name))
    members.told = told_of_each(images, sidecars)
    if members.told:
        for end in SIDECARS:
            members.others.pop(end, None)
    members.paths = images
    members.starts = np.array([entries[name].start for name in images], np.int64)
    members.sizes = np.array([entries[name].size for name in images], np.int64)
    members.methods = np.array([entries[name].method for name in images], np.uint8)
    return members


def _as_bytes(members: Members) -> bytes:
    about: dict[str, Any] = {
        "paths": members.paths,
        "told": [list(one) for one in members.told],
        "others": members.others,
        "hidden": members.hidden,
        "tables": members.tables,
    }
    stream = io.BytesIO()
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    np.savez(stream, about=text, starts=members.starts, sizes=members.sizes, methods=members.methods)
    return stream.getvalue()


def _kept(place: Path) -> Members | None:
    try:
        with place.open("rb") as file, np.load(file) as arrays:
            about = json.loads(arrays["about"].tobytes())
            return Members(
                paths=about["paths"],
                starts=arrays["starts"],
                sizes=arrays["sizes"],
                methods=arrays["methods"],
                told=[Told(*one) for one in about["told"]],
                others=Counter(about["others"]),
                hidden=Counter(about["hidden"]),
                tables=about["tables"],
            )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
