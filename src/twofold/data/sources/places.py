"""From what a table calls an image to the one file that fits."""

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from twofold.data.formats import extensions
from twofold.data.sources.addresses import is_address
from twofold.data.sources.data_file import NamedPlaces
from twofold.data.sources.listing import extension_of, list_images
from twofold.errors import TwofoldError

_NUMBER = re.compile(r"0*(\d+)(\.0)?")


@dataclass(frozen=True)
class Place:
    """Where an image lies."""

    file: str
    is_completed: bool = False  # not the path as it stands in the table
    tried: str = ""  # what was tried in vain, where nothing is there


class Places:
    """The files below the folder `root`, to be named by path, by name or by id; without one, what `reach` knows."""

    def __init__(self, root: Path | None, reach: NamedPlaces) -> None:
        self._root, self._reach = root, reach

    def find(self, text: str, where: str) -> Place:
        """The file that `text` names, or where it should be and what was tried.

        Tried are the path as it stands, with slashes for backslashes, below the folder where it begins with a slash,
        with the extensions of images, and last the one file below the folder that is called so: without regard to case
        and to how accents are composed, and a number without its leading zeros. Raises TwofoldError for a path that
        leads out of the folder, unless an absolute one, as of another machine, fits a file inside.
        """
        slashed = text.replace("\\", "/")
        try:
            place = self._reach.find(text, where)
        except TwofoldError:
            if self._root and slashed.startswith("/") and (place_inside := self._completed(text, slashed, where)[0]):
                return Place(place_inside, is_completed=True)
            raise
        if is_address(place) or _is_there(place):  # what is at an address is seen when it is read
            return Place(place)
        completed, known = self._completed(text, slashed, where)
        if completed:
            return Place(completed, is_completed=True)
        several = f"; {len(known):,} files below are called so: {known[0]}, {known[1]}" if len(known) > 1 else ""
        ends = "" if extension_of(slashed) in extensions() else ", with the extensions of images"
        return Place(place, tried=f"tried as it stands{ends} and by name anywhere below{several}")

    def _completed(self, text: str, slashed: str, where: str) -> tuple[str | None, list[str]]:
        """The file that other spellings of a path name, if one; and all files that are called so."""
        for candidate in _spellings(text, slashed):
            if (other := self._inside(candidate, where)) and _is_there(other):
                return other, []
        name = PurePosixPath(slashed).name
        known = self._by_name.get(name) or self._by_stem.get(name) or self._by_likeness.get(_likeness(name)) or []
        return (self._inside(known[0], where) if len(known) == 1 else None), known

    def _inside(self, candidate: str, where: str) -> str | None:
        try:
            return self._reach.find(candidate, where)
        except TwofoldError:  # only the text as it stands says that the table leads outside
            return None

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        return _grouped((PurePosixPath(path).name, path) for path in self._files)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        return _grouped((PurePosixPath(path).stem, path) for path in self._files)

    @cached_property
    def _by_likeness(self) -> dict[str, list[str]]:
        pairs = [(PurePosixPath(path), path) for path in self._files]
        return _grouped((key, path) for pure, path in pairs for key in {_likeness(pure.name), _likeness(pure.stem)})

    @cached_property
    def _files(self) -> list[str]:
        return [path for path, _ in list_images(self._root).files] if self._root else []


def _spellings(text: str, slashed: str) -> Iterator[str]:
    if slashed.startswith("/"):
        slashed = slashed.lstrip("/")
    if slashed != text:
        yield slashed
    if extension_of(text) not in extensions():
        for end in sorted(extensions()):
            yield slashed + end
            yield slashed + end.upper()


def _likeness(name: str) -> str:
    """A name without case and ways to compose accents; of a number what it counts: 1 of 001 and 1.0."""
    plain = unicodedata.normalize("NFC", name).casefold()
    number = _NUMBER.fullmatch(plain)
    return number[1] if number else plain


def _grouped(pairs: Iterator[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, path in pairs:
        groups.setdefault(name, []).append(path)
    return groups


def _is_there(place: str) -> bool:
    return os.path.lexists(place) and not os.path.isdir(place)  # noqa: PTH112
