"""Reading images by their places: paths on this machine, and addresses."""

import io
from collections.abc import Iterable
from pathlib import Path

from twofold.data.findings import Finding
from twofold.data.formats import File
from twofold.data.record import stamp_path
from twofold.data.sources.addresses import is_address, place_of
from twofold.data.sources.reach import open_regular, read_regular
from twofold.data.sources.remote_file import Remote


class PlaceReader:
    """Reads what a table names. Reading raises OSError, and is safe from several threads."""

    def __init__(self, places: Iterable[str], name: str) -> None:
        """Raises TwofoldError where some are addresses and the extra is not there. `name` is that of the table."""
        self.addresses = sum(map(is_address, places))
        self._remote = Remote(f"'{name}'") if self.addresses else None

    def open(self, place: str) -> File:
        """An image's file, open for reading; of an address in memory."""
        return io.BytesIO(self.read(place)) if is_address(place) else open_regular(place)

    def read(self, place: str) -> bytes:
        """The content of an image's file."""
        if self._remote and is_address(place):
            return self._remote.read(place)
        return read_regular(place)

    @staticmethod
    def stamp(place: str) -> tuple[str, object]:
        """Plain values that change whenever an image may have changed; an address counts as unchanging."""
        return (place_of(place), None) if is_address(place) else (place, stamp_path(Path(place)))


def unchanging(count: int) -> list[Finding]:
    """That images at addresses, if any, are not looked at again."""
    text = f"{count:,} images at addresses are taken as unchanged as long as their addresses are the same"
    return [Finding("TF051", text)] if count else []
