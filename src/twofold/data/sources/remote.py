"""Data at an address, by obstore, which is an extra: folders of buckets, archives, tables, parquet files and lists."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from twofold.data.record import Source
from twofold.data.sources.addresses import in_bucket, parts_of, shown_address
from twofold.data.sources.columns import Columns
from twofold.data.sources.listed import open_list
from twofold.data.sources.listing import extension_of
from twofold.data.sources.parquet import ParquetSource
from twofold.data.sources.remote_file import Remote, RemoteError, RemoteFile, cannot_open, open_file
from twofold.data.sources.remote_trees import BucketTree, file_findings, remote_parts
from twofold.data.sources.shards import expanded
from twofold.data.sources.table import SUFFIXES, TableSource
from twofold.data.sources.trees import Part, TreesSource
from twofold.errors import TwofoldError


def open_remote(address: str, cache: Path | None, *, allow_outside: bool, columns: Columns | None) -> Source:
    """The images at an address, by the ending of its name: an archive, a table, a parquet file, a list, or a folder.

    Braces ({0000..0009}), and in a bucket a pattern (*.tar), stand for several. Keys of buckets are those of the
    environment. Raises TwofoldError without the extra, and where nothing can be read.
    """
    name = shown_address(address)
    remote = Remote(f"'{name}'")
    addresses = expanded(address)
    if "*" in parts_of(address)["path"]:
        addresses = _matches(remote, address)
    ends = {extension_of(shown_address(one).rpartition("/")[2]) for one in addresses}
    if ends == {".parquet"}:
        return _open_parquet(remote, addresses, name, allow_outside=allow_outside, columns=columns)
    if len(addresses) > 1 or not in_bucket(address) or not ends <= {""}:
        if len(addresses) == 1 and ends <= {*SUFFIXES, ".txt"}:
            file = open_file(remote, address)
            if ends == {".txt"}:
                return open_list(file, name, cache, allow_outside=allow_outside)
            return TableSource(file, name, allow_outside=allow_outside, columns=columns)
        return TreesSource(remote_parts(remote, addresses, cache), name)
    return _open_folder(remote, address, cache, allow_outside=allow_outside, columns=columns)


def _open_folder(
    remote: Remote, address: str, cache: Path | None, *, allow_outside: bool, columns: Columns | None
) -> Source:
    """The images below a folder of a bucket; where there are none, its parquet files, or its archives."""
    name, folder = shown_address(address), address.rstrip("/")
    tree = BucketTree(remote, folder)
    shards = [f"{folder}/{path}" for path in sorted(tree.listing.tables) if path.lower().endswith(".parquet")]
    if shards and not tree.paths:
        return _open_parquet(remote, shards, name, allow_outside=allow_outside, columns=columns)
    if tree.listing.archives and not tree.paths:
        archives = [f"{folder}/{path}" for path in sorted(tree.listing.archives)]
        return TreesSource(remote_parts(remote, archives, cache), name)
    return TreesSource([Part(tree)], name)


def _open_parquet(
    remote: Remote, addresses: Sequence[str], name: str, *, allow_outside: bool, columns: Columns | None
) -> ParquetSource:
    files: list[RemoteFile] = [open_file(remote, one) for one in addresses]
    source = ParquetSource(files, name, allow_outside=allow_outside, columns=columns)
    source.findings += [said for file in files for said in file_findings(file)]
    return source


def _matches(remote: Remote, address: str) -> list[str]:
    """The addresses that a pattern names in a bucket, sorted. Raises TwofoldError where there is none."""
    name = shown_address(address)
    if not in_bucket(address):
        raise TwofoldError(
            f"'{name}' is a pattern, but what lies on the web cannot be listed. Count the files in braces, as in "
            "train-{0000..0009}.tar."
        )
    folder, _, pattern = address.rpartition("/")
    if "*" in folder:
        raise TwofoldError(f"'{name}' has a * in the name of a folder; in a bucket only the last name may. Change it.")
    try:
        paths = sorted(one["path"] for one in remote.listing(folder))
    except RemoteError as error:
        raise cannot_open(address, error) from error
    if used := [path for path in paths if "/" not in path and fnmatchcase(path, pattern)]:
        return [f"{folder}/{path}" for path in used]
    raise TwofoldError(f"the pattern '{name}' names nothing in its bucket. Give a pattern such as 's3://bucket/*.tar'.")
