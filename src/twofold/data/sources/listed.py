"""Several folders, archives and image files as one data set: what a pattern names, or the lines of a .txt file."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from twofold.data.cache import cache_folder
from twofold.data.findings import Finding
from twofold.data.formats import extensions
from twofold.data.record import shown
from twofold.data.sources.archive import Archive, refuse_packed, stem_of
from twofold.data.sources.folder import left_out
from twofold.data.sources.listing import extension_of, is_archive, list_images, packed_stamp
from twofold.data.sources.reach import Reach
from twofold.data.sources.shards import numberless
from twofold.data.sources.trees import FileTree, Tree, TreesSource
from twofold.errors import TwofoldError


def open_list(path: Path, name: str, cache: Path | None, *, allow_outside: bool) -> TreesSource:
    """What a text file names, a folder, archive or image a line, absolute or from the file's own folder.

    Empty lines and lines that begin with # are left out. Raises TwofoldError for a line that names nothing, and for one
    that leads out of the file's folder, unless that is allowed.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise TwofoldError(f"the list '{name}' is no text in UTF-8 ({error}). Write one path a line.") from error
    reach = Reach(path.parent, allow_outside=allow_outside)
    places = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            place = Path(reach.find(os.path.expanduser(text), f"line {number} of '{name}'"))  # noqa: PTH111
            if not place.exists():
                raise TwofoldError(f"line {number} of '{name}' names '{shown(text)}', which is not there. Correct it.")
            places.append(place)
    if not places:
        raise TwofoldError(f"the list '{name}' names nothing. Write the path of a folder, archive or image a line.")
    return open_several(places, name, cache)


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
    trees: list[Tree] = [_tree(place, name, cache) for place in others]
    roots = [f"{shown(call)}/" for call in calls]
    tops = [f"{shown(numberless(stem_of(call)) if is_archive(call) else call)}/" for call in calls]
    if images:
        files = [(os.path.relpath(place, common).replace(os.sep, "/"), packed_stamp(place.stat())) for place in images]
        trees.append(FileTree(common, files))
        roots, tops = [*roots, ""], [*tops, ""]
    return TreesSource(trees, name, roots=roots, tops=tops)


def _is_image(place: Path) -> bool:
    return extension_of(place.name) in extensions() and place.is_file()


def _tree(place: Path, name: str, cache: Path | None) -> Tree:
    if place.is_dir():
        listing = list_images(place)
        return FileTree(place, listing.files, left_out(listing, listing.tables))
    if is_archive(place.name):
        return Archive(place, cache_folder(cache))
    refuse_packed(place.name)
    raise TwofoldError(
        f"'{name}' names '{place}', but it may name folders, archives and images only. Give a table on its own."
    )
