"""Images at addresses: below a folder of a bucket, in archives, or one by one."""

import io
import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from twofold.data.cache import cache_folder
from twofold.data.findings import Finding
from twofold.data.formats import File, extensions
from twofold.data.sources.addresses import distinct, in_bucket, place_of, shown_address
from twofold.data.sources.archive import Archive, part_called, refuse_packed
from twofold.data.sources.folder import left_out
from twofold.data.sources.listing import ARCHIVES, TABLES, Listing, extension_of, is_archive, left_out_by_name
from twofold.data.sources.place_reader import unchanging
from twofold.data.sources.remote_file import Remote, RemoteError, RemoteFile, cannot_open, open_file
from twofold.data.sources.sidecars import Told
from twofold.data.sources.trees import Part
from twofold.errors import TwofoldError

_AT_ONCE = 8  # files whose beginnings are fetched side by side


class BucketTree:
    """The images below a folder of a bucket, sorted by path; each is fetched when it is read."""

    def __init__(self, remote: Remote, address: str) -> None:
        """Raises TwofoldError where nothing can be listed there."""
        self._remote, self._address, self.listing = remote, address, Listing()
        try:
            listed = remote.listing(address)
        except RemoteError as error:
            raise cannot_open(address, error) from error
        images = sorted(
            (one["path"], f"{one['e_tag']} {one['size']} {one['last_modified']}")
            for one in listed
            if _is_image(one["path"], self.listing)
        )
        self.paths = [path for path, _ in images]
        self._stamps = [stamp for _, stamp in images]
        self.told: Sequence[Told] = []
        self.findings: Sequence[Finding] = left_out(self.listing, self.listing.tables)

    def file_stamps(self) -> Iterator[str]:
        """Each object's address, tag, size and time."""
        return (f"{self._address}/{path} {stamp}" for path, stamp in zip(self.paths, self._stamps, strict=True))

    def open(self, index: int) -> File:
        """An object, in memory."""
        return io.BytesIO(self.read(index))

    def read(self, index: int) -> bytes:
        """The content of an object."""
        return self._remote.read(self._address, self.paths[index])


class AddressTree:
    """Single images at addresses, called by their paths below the folder that holds them all."""

    def __init__(self, remote: Remote, addresses: Sequence[str]) -> None:
        self._remote, self._addresses = remote, list({place_of(one): one for one in addresses}.values())
        paths = [shown_address(address).partition("://")[2] for address in self._addresses]
        common = posixpath.commonpath([posixpath.dirname(path) for path in paths])
        paths = [unquote(path[len(common) :].lstrip("/")) for path in paths]
        self.paths: Sequence[str] = distinct(paths, self._addresses)
        self.told: Sequence[Told] = []
        self.findings: Sequence[Finding] = unchanging(len(self._addresses))

    def file_stamps(self) -> Iterator[str]:
        """Each image's address."""
        return map(place_of, self._addresses)

    def open(self, index: int) -> File:
        """An image, in memory."""
        return io.BytesIO(self.read(index))

    def read(self, index: int) -> bytes:
        """The content of an image."""
        return self._remote.read(self._addresses[index])


def remote_parts(remote: Remote, addresses: Sequence[str], cache: Path | None) -> list[Part]:
    """Archives, folders of buckets and images at addresses, as one folder that holds them all, each below its name.

    Raises TwofoldError for any other address, and for one where nothing can be read.
    """
    addresses = list(dict.fromkeys(addresses))
    images = [one for one in addresses if extension_of(_path(one).name) in extensions()]
    others = [one for one in addresses if one not in set(images)]
    for address in others:
        _require_tree(address)
    counts = Counter(_path(address).name for address in others)
    calls = [str(_path(one)) if counts[_path(one).name] > 1 else _path(one).name for one in others]

    def tree(address: str) -> Archive | BucketTree:
        if not is_archive(_path(address).name):
            return BucketTree(remote, address.rstrip("/"))
        file = open_file(remote, address)
        return Archive(file, cache_folder(cache), file_findings(file))

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="twofold-remote") as pool:
        trees = list(pool.map(tree, others))
    parts = [part_called(one, call) for one, call in zip(trees, calls, strict=True)]
    if len(parts) == 1 and not images:
        return [Part(parts[0].tree)]
    return [*parts, *([Part(AddressTree(remote, images))] if images else [])]


def file_findings(file: RemoteFile) -> list[Finding]:
    """What its server cannot do."""
    texts = []
    if file.is_whole:
        texts.append(f"the server of '{file.name}' gives no parts of files: all {file.size:,} bytes are held in memory")
    if not file.is_dated:
        texts.append(f"the server of '{file.name}' tells no time: it counts as unchanged while its size is the same")
    return [Finding("TF051", text) for text in texts]


def _path(address: str) -> PurePosixPath:
    return PurePosixPath(shown_address(address).partition("://")[2])


def _require_tree(address: str) -> None:
    """Raises TwofoldError for what is neither an archive nor a folder that can be listed."""
    name, shown = _path(address).name, shown_address(address)
    refuse_packed(shown)
    if extension_of(name) in TABLES | {".txt"}:
        raise TwofoldError(
            f"'{shown}' is a table or a list, but among several addresses only archives and images are read. "
            "Give it on its own."
        )
    if not in_bucket(address) and not is_archive(name):
        raise TwofoldError(
            f"'{shown}' does not end like a file that is read here, and a folder on the web cannot be listed. Give a "
            f"list (.txt) or a table (.csv, .parquet) of the images' addresses, or an archive ({', '.join(ARCHIVES)}); "
            "train-{0000..0009}.tar names several."
        )


def _is_image(path: str, listing: Listing) -> bool:
    """Whether a path is an image; what is none goes into the listing."""
    end = extension_of(path.rpartition("/")[2])
    if (why := left_out_by_name(path)) is not None:
        listing.hidden[why] += 1
    elif end in extensions():
        return True
    else:
        listing.others[end] += 1
        if end in TABLES:
            listing.tables.append(path)
        elif is_archive(path):
            listing.archives.append(path)
    return False
