"""From what the user gave - a folder, a table, a name - to a source of pictures."""

from pathlib import Path

from twofold.data.cache import cache_folder
from twofold.data.record import Record, Source
from twofold.data.sources.folder import FolderSource
from twofold.data.sources.manifest import ManifestSource
from twofold.data.sources.named import TorchvisionSource, find_dataset, nearest_dataset
from twofold.data.sources.parquet import ParquetSource
from twofold.errors import TwofoldError

__all__ = ["Record", "Source", "open_source"]

_PREFIX = "torchvision:"


def open_source(data: str | Path, *, cache: Path | None = None, allow_outside: bool = False) -> Source:
    """The pictures in a folder, a CSV manifest, a parquet file or a torchvision data set ("CIFAR10", "SVHN@folder").

    A path that exists wins over a name; "torchvision:CIFAR10" is always the name. torchvision's files are kept in
    `cache`/torchvision. A table may name files outside its own folder only with `allow_outside`: who made it could
    otherwise show any file of the one who opens it. Raises TwofoldError where there is nothing of the kind.
    """
    name = str(data)
    if name.startswith(_PREFIX):
        return _open_named(name.removeprefix(_PREFIX), name, cache)
    path = Path(name).expanduser()
    try:
        if name and path.is_dir():
            return FolderSource(path, name)
        if path.is_file():
            return _open_file(path, name, allow_outside)
    except OSError as error:
        raise TwofoldError(
            f"'{name}' cannot be opened ({error.strerror}), but the data must be readable. Change its permissions."
        ) from error
    return _open_named(name, name, cache)


def _open_file(path: Path, name: str, allow_outside: bool) -> Source:
    if path.suffix.lower() == ".csv":
        return ManifestSource(path, name, allow_outside=allow_outside)
    if path.suffix.lower() == ".parquet":
        return ParquetSource(path, name, allow_outside=allow_outside)
    raise TwofoldError(
        f"'{name}' is a single file; the data must be a folder of pictures, a .csv manifest or a .parquet file. "
        "Give the folder it lies in, or unpack it first."
    )


def _open_named(text: str, name: str, cache: Path | None) -> Source:
    wanted, _, root = text.partition("@")
    dataset = find_dataset(wanted)
    if dataset is None:
        near = nearest_dataset(wanted)
        hint = f"; did you mean '{near}'?" if near else "."
        raise TwofoldError(
            f"no folder, manifest or torchvision data set called '{name}'{hint} "
            "Give an existing folder of pictures, a .csv or .parquet file, or a name such as CIFAR10."
        )
    return TorchvisionSource(dataset, Path(root).expanduser() if root else cache_folder(cache) / "torchvision", name)
