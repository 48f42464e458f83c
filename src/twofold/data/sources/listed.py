"""Several folders, archives and image files as one data set: what a pattern names, or the lines of a .txt file."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from twofold.data.cache import cache_folder
from twofold.data.findings import Finding
from twofold.data.formats import extensions
from twofold.data.record import shown
from twofold.data.sources.addresses import is_address
from twofold.data.sources.archive import Archive, part_called, refuse_packed
from twofold.data.sources.data_file import DataFile, LocalFile
from twofold.data.sources.folder import left_out
from twofold.data.sources.listing import extension_of, is_archive, list_images, packed_stamp
from twofold.data.sources.remote_file import Remote
from twofold.data.sources.remote_trees import remote_parts
from twofold.data.sources.shards import expanded
from twofold.data.sources.trees import FileTree, Part, Tree, TreesSource
from twofold.errors import TwofoldError


def open_list(file: DataFile, name: str, cache: Path | None, *, allow_outside: bool) -> TreesSource:
    """What a text file names, a folder, archive or image a line: absolute, from the file's own folder, or an address.

    Empty lines and lines that begin with # are left out. Raises TwofoldError for a line that names nothing, and for one
    that leads out of the file's folder, unless that is allowed.
    """
    try:
        lines = file.read().decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TwofoldError(f"the list '{name}' is not text in UTF-8 ({error}). Write one path a line.") from error
    reach = file.reach(allow_outside=allow_outside)
    places, addresses = list[Path](), list[str]()
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            found = reach.find(os.path.expanduser(text), f"line {number} of '{name}'")  # noqa: PTH111
            if is_address(found):
                addresses += expanded(found)
                continue
            if not Path(found).exists():
                raise TwofoldError(f"line {number} of '{name}' names '{shown(text)}', which is not there. Correct it.")
            places.append(Path(found))
    if not places and not addresses:
        raise TwofoldError(f"the list '{name}' names nothing. Write the path of a folder, archive or image a line.")
    parts = local_parts(places, name, cache) if places else []
    if addresses:
        parts += remote_parts(Remote(f"'{name}'"), addresses, cache)
    return TreesSource(parts, name)


def open_matches(places: Sequence[Path], name: str, cache: Path | None) -> TreesSource:
    """The folders, archives and images among what a pattern names; other files are left out and counted."""
    used = [place for place in places if place.is_dir() or is_archive(place.name) or _is_image(place)]
    if not used:
        raise TwofoldError(f"the pattern '{name}' names {len(places):,} files, but no folder, archive or image.")
    source = open_several(used, name, cache)
    if len(used) < len(places):
        rest = next(place for place in places if place not in set(used))
        text = f"{len(places) - len(used):,} other files that the pattern names, such as {shown(rest.name)}"
        source.findings.append(Finding("TF011", text))
    return source


def open_several(places: Sequence[Path], name: str, cache: Path | None, *, root: Path | None = None) -> TreesSource:
    """`local_parts` as a source."""
    return TreesSource(local_parts(places, name, cache, root=root), name)


def local_parts(places: Sequence[Path], name: str, cache: Path | None, *, root: Path | None = None) -> list[Part]:
    """Folders, archives and images as one folder that holds them all, each below its own name, or its path from `root`.

    Numbered shards, such as train-0001.tar, are one folder. Raises TwofoldError for any other file.
    """
    places = list(dict.fromkeys(places))
    common = root or Path(os.path.commonpath([place.parent.resolve() for place in places]))
    images = [place for place in places if _is_image(place)]
    others = [place for place in places if not _is_image(place)]
    counts = Counter(place.name for place in others)
    is_known = root is None and max(counts.values(), default=0) < 2
    calls = [place.name if is_known else os.path.relpath(place, common).replace(os.sep, "/") for place in others]
    parts = [part_called(_tree(place, name, cache), call) for place, call in zip(others, calls, strict=True)]
    if images:
        files = [(os.path.relpath(place, common).replace(os.sep, "/"), packed_stamp(place.stat())) for place in images]
        parts.append(Part(FileTree(common, files)))
    return parts


def _is_image(place: Path) -> bool:
    return extension_of(place.name) in extensions() and place.is_file()


def _tree(place: Path, name: str, cache: Path | None) -> Tree:
    if place.is_dir():
        listing = list_images(place)
        return FileTree(place, listing.files, left_out(listing, listing.tables))
    if is_archive(place.name):
        return Archive(LocalFile(place), cache_folder(cache))
    refuse_packed(place.name)
    raise TwofoldError(
        f"'{name}' names '{place}', but it may name folders, archives and images only. Give a table on its own."
    )
