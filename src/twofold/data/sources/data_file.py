"""A file of data that can be read at any place: one on this machine, or one at an address (`remote_file`)."""

from pathlib import Path, PurePath
from typing import Any, BinaryIO, Protocol, runtime_checkable

from twofold.data.record import stamp_path
from twofold.data.sources.reach import Reach, open_regular, read_regular


@runtime_checkable
class NamedPlaces(Protocol):
    """The places that a table may name."""

    def find(self, text: str, where: str) -> str:
        """The path or address that a cell names. Raises TwofoldError, beginning with `where`, for a forbidden one."""
        ...


@runtime_checkable
class DataFile(Protocol):
    """An archive, a table or a parquet file, wherever it lies. Reading raises OSError, and is safe from threads."""

    @property
    def name(self) -> str:
        """As people are told of it."""
        ...

    @property
    def path(self) -> PurePath:
        """For its name, and those of the folders that it lies in."""
        ...

    @property
    def place(self) -> str:
        """Where it lies, in full."""
        ...

    @property
    def stamp(self) -> object:
        """Plain values that change whenever its content may have changed."""
        ...

    @property
    def size(self) -> int:
        """Its bytes."""
        ...

    def open(self) -> BinaryIO:
        """The file, open for reading at any place."""
        ...

    def read_at(self, start: int, size: int) -> bytes:
        """Up to `size` bytes from `start` on; fewer at the end."""
        ...

    def read(self) -> bytes:
        """The whole content."""
        ...

    def for_arrow(self) -> Any:
        """What pyarrow opens."""
        ...

    def reach(self, *, allow_outside: bool) -> NamedPlaces:
        """The places that this file, as a table, may name."""
        ...


class LocalFile:
    """A file on this machine, as it was when this was made."""

    def __init__(self, path: Path) -> None:
        """Raises OSError where there is none."""
        self.path, self.name, self.place = path, str(path), str(path.resolve())
        self.stamp, self.size = stamp_path(path), path.stat().st_size

    def open(self) -> BinaryIO:
        """The file, open for reading."""
        return open_regular(self.path)

    def read_at(self, start: int, size: int) -> bytes:
        """Up to `size` bytes from `start` on; fewer at the end."""
        with open_regular(self.path) as file:
            file.seek(start)
            return file.read(size)

    def read(self) -> bytes:
        """The whole content."""
        return read_regular(self.path)

    def for_arrow(self) -> Path:
        """Its path."""
        return self.path

    def reach(self, *, allow_outside: bool) -> Reach:
        """The files in its folder, or all."""
        return Reach(self.path.parent, allow_outside=allow_outside)
