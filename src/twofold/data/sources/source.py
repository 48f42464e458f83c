"""From what the user gave - a folder, a table, a name - to a source of images."""

from contextlib import suppress
from pathlib import Path

from twofold.data.cache import cache_folder
from twofold.data.findings import Finding
from twofold.data.record import Record, Source
from twofold.data.sources.addresses import is_address
from twofold.data.sources.archive import open_archive, refuse_packed
from twofold.data.sources.arrays import ArraySource
from twofold.data.sources.columns import Columns
from twofold.data.sources.data_file import LocalFile
from twofold.data.sources.folder import FolderSource
from twofold.data.sources.listed import open_list, open_matches, open_several
from twofold.data.sources.listing import ARCHIVES, ARRAYS, is_archive, list_images
from twofold.data.sources.named import TorchvisionSource, find_dataset, nearest_dataset
from twofold.data.sources.parquet import ParquetSource
from twofold.data.sources.remote import open_remote
from twofold.data.sources.shards import expanded, is_pattern, matches, rows_in
from twofold.data.sources.table import SUFFIXES, TableSource
from twofold.errors import TwofoldError

__all__ = ["Record", "Source", "open_source"]

_PREFIX = "torchvision:"


def open_source(
    data: str | Path | Source, *, cache: Path | None = None, allow_outside: bool = False, columns: Columns | None = None
) -> Source:
    """The images in a folder, an archive, a table, parquet files or a torchvision data set ("CIFAR10", "SVHN@folder").

    Archives (zip, tar, WebDataset's shards) and parquet files are given as one file, as a folder that holds nothing
    else, as a pattern ("data/*.parquet") or in braces ("train-{00..09}.tar"); a pattern or a .txt file may also name
    several folders. All but folders on the web may lie at an address (s3://, gs://, az://, http://, https://).
    A path that exists wins over a name; "torchvision:CIFAR10" is always the name. torchvision's files are kept in
    `cache`/torchvision. A source stays what it is. A table may name files outside its own folder only with
    `allow_outside`: who made it could otherwise show any file of the one who opens it. `columns` are those of a table.
    Raises TwofoldError where there is nothing of the kind.
    """
    if isinstance(data, Source):
        return data
    name = str(data)
    if name.startswith(_PREFIX):
        return _open_named(name.removeprefix(_PREFIX), name, cache)
    if is_address(name):
        return open_remote(name, cache, allow_outside=allow_outside, columns=columns)
    path = Path(name).expanduser()
    try:
        if name and path.is_dir():
            return _open_folder(path, name, cache, allow_outside, columns)
        if path.is_file():
            return _open_file(path, name, cache, allow_outside, columns)
    except OSError as error:
        raise TwofoldError(
            f"'{name}' cannot be opened ({error.strerror or error}), but the data must be readable. "
            "Change its permissions."
        ) from error
    if len(places := [Path(one).expanduser() for one in expanded(name)]) > 1:
        _require_there(places, name)
        return _open_matches(places, name, cache, allow_outside, columns)
    if is_pattern(name):
        return _open_matches(matches(name), name, cache, allow_outside, columns)
    return _open_named(name, name, cache)


def _open_folder(path: Path, name: str, cache: Path | None, allow_outside: bool, columns: Columns | None) -> Source:
    """The images in a folder, or the parquet files in one, where they hold ten times as many images; or archives."""
    listing = list_images(path)
    tables = [path / table for table in sorted(listing.tables) if table.lower().endswith(".parquet")]
    shards = [LocalFile(table) for table in tables]
    if shards and not listing.files:
        return ParquetSource(shards, name, allow_outside=allow_outside, columns=columns)
    if shards and rows_in(tables) >= 10 * len(listing.files):
        with suppress(TwofoldError):  # parquet files without images say nothing about the folder
            source = ParquetSource(shards, name, allow_outside=allow_outside, columns=columns)
            text = f"{len(listing.files):,} images next to the parquet files are left out: {listing.files[0][0]}"
            source.findings.append(Finding("TF029", text))
            return source
    if listing.archives and not listing.files:
        return open_several([path / archive for archive in sorted(listing.archives)], name, cache, root=path)
    return FolderSource(path, name, listing)


def _open_matches(
    places: list[Path], name: str, cache: Path | None, allow_outside: bool, columns: Columns | None
) -> Source:
    """What a pattern names: parquet files, or folders, archives and images."""
    shards = [place for place in places if place.suffix.lower() == ".parquet"]
    if shards:
        return ParquetSource([LocalFile(shard) for shard in shards], name, allow_outside=allow_outside, columns=columns)
    return open_matches(places, name, cache)


def _require_there(places: list[Path], name: str) -> None:
    """Raises TwofoldError where one of the files that braces name is not there."""
    missing = [place for place in places if not place.exists()]
    if missing:
        raise TwofoldError(
            f"'{name}' names {len(places):,} files, of which {len(missing):,} are not there, such as '{missing[0]}'. "
            "Correct the numbers in braces."
        )


def _open_file(path: Path, name: str, cache: Path | None, allow_outside: bool, columns: Columns | None) -> Source:
    if path.suffix.lower() in SUFFIXES:
        return TableSource(LocalFile(path), name, allow_outside=allow_outside, columns=columns)
    if path.suffix.lower() == ".parquet":
        return ParquetSource([LocalFile(path)], name, allow_outside=allow_outside, columns=columns)
    if is_archive(path.name):
        return open_archive(LocalFile(path), name, cache)
    if path.suffix.lower() == ".txt":
        return open_list(LocalFile(path), name, cache, allow_outside=allow_outside)
    if path.suffix.lower() in ARRAYS:
        return ArraySource(path, name)
    refuse_packed(name)
    raise TwofoldError(
        f"'{name}' is a single file; the data must be a folder of images, an archive ({', '.join(ARCHIVES)}), a table "
        "(.csv, .tsv, .jsonl), a .parquet, .npy or .npz file or a .txt file of paths. Give the folder it lies in."
    )


def _open_named(text: str, name: str, cache: Path | None) -> Source:
    wanted, _, root = text.partition("@")
    dataset = find_dataset(wanted)
    if dataset is None:
        near = nearest_dataset(wanted)
        hint = f"; did you mean '{near}'?" if near else "."
        raise TwofoldError(
            f"no folder, table or torchvision data set called '{name}'{hint} "
            "Give an existing folder of images, a .csv or .parquet file, or a name such as CIFAR10."
        )
    return TorchvisionSource(dataset, Path(root).expanduser() if root else cache_folder(cache) / "torchvision", name)
