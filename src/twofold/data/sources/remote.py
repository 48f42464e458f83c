"""Images in a bucket, s3://, gs:// or az://, by obstore, which is an extra; each is read when it is needed."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

from twofold.data.findings import Finding
from twofold.data.formats import File, extensions
from twofold.data.sources.folder import left_out
from twofold.data.sources.listing import Listing, extension_of, left_out_by_name
from twofold.data.sources.sidecars import Told
from twofold.data.sources.trees import TreesSource
from twofold.errors import TwofoldError, import_extra

SCHEMES = ("s3://", "gs://", "az://")


def is_remote(name: str) -> bool:
    """Whether data lie in a bucket, by their address."""
    return name.lower().startswith(SCHEMES)


def open_remote(name: str) -> TreesSource:
    """The images below an address such as s3://bucket/folder; keys and regions are those of the environment.

    Raises TwofoldError without the extra, and where nothing can be listed there.
    """
    return TreesSource([_Bucket(name)], name, roots=[""], tops=[""])


class _Bucket:
    """Objects below an address, sorted by path. Reading raises OSError, and is safe from several threads."""

    def __init__(self, name: str) -> None:
        obstore = import_extra("obstore", f"'{name}'", "remote")
        stores = import_extra("obstore.store", f"'{name}'", "remote")
        self._name, self._get, self._failure = name.rstrip("/"), obstore.get, obstore.exceptions.BaseError
        listing = Listing()
        found: list[tuple[str, str]] = []
        try:
            self._store: Any = stores.from_url(self._name)
            for batch in obstore.list(self._store):
                for one in batch:
                    _sort_in(listing, found, one["path"], f"{one['e_tag']} {one['size']} {one['last_modified']}")
        except (self._failure, OSError, ValueError) as error:
            raise TwofoldError(
                f"'{name}' cannot be listed ({_first_line(error)}). Check the address, and keys and region in the "
                "environment."
            ) from error
        found.sort()
        self.paths = [path for path, _ in found]
        self._stamps = [stamp for _, stamp in found]
        self.told: Sequence[Told] = []
        self.findings: Sequence[Finding] = left_out(listing, listing.tables)

    def file_stamps(self) -> Iterator[str]:
        """Each object's address, tag, size and time."""
        return (f"{self._name}/{path} {stamp}" for path, stamp in zip(self.paths, self._stamps, strict=True))

    def open(self, index: int) -> File:
        """An object, in memory."""
        return io.BytesIO(self.read(index))

    def read(self, index: int) -> bytes:
        """The content of an object."""
        try:
            return bytes(self._get(self._store, self.paths[index]).bytes())
        except (self._failure, OSError) as error:
            raise OSError(f"it cannot be read from '{self._name}' ({_first_line(error)})") from error


def _sort_in(listing: Listing, found: list[tuple[str, str]], path: str, stamp: str) -> None:
    if (why := left_out_by_name(path)) is not None:
        listing.hidden[why] += 1
    elif (end := extension_of(path.rpartition("/")[2])) in extensions():
        found.append((path, stamp))
    else:
        listing.others[end] += 1


def _first_line(error: Exception) -> str:
    """What went wrong, without the long account that follows."""
    return str(error).split("\n")[0][:200]
