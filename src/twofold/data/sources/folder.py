"""A folder of images, at any depth: sub-folders may be splits and classes."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from twofold.data.findings import Finding
from twofold.data.formats import extensions, extra_for
from twofold.data.record import Record, shown
from twofold.data.sources.layout import read_layout
from twofold.data.sources.listing import Listing, digest_of_files, kind_of
from twofold.data.sources.metadata import is_metadata, with_metadata
from twofold.data.sources.trees import FileTree
from twofold.errors import TwofoldError

_COMMON = (".jpg", ".png", ".webp", ".avif", ".tif", ".gif", ".bmp")  # that a person is told of where none is there


class FolderSource(FileTree):
    """Every image below a folder, sorted by path. Hidden names and other kinds of files are left out, and counted."""

    def __init__(self, root: Path, name: str, listing: Listing) -> None:
        """`listing` is that of `root`. Raises TwofoldError where there is no image."""
        if not listing.files:
            raise _no_images(name, listing)
        super().__init__(root, listing.files)
        self.name = name
        layout = read_layout([shown(path) for path in self.paths])
        self.records: Sequence[Record] = layout.records
        said = list[Finding]()
        if not any(layout.records.labels):
            self.records, said = with_metadata(self.records, root, listing.tables)
        unused = [table for table in listing.tables if not said or not is_metadata(table)]
        self.findings = [*layout.findings, *said, *left_out(listing, unused)]

    def stamp(self) -> str:
        """Over the place, and each file's path, size and times as they were when the folder was opened."""
        return digest_of_files(str(self._root.resolve()), self.paths, self._stamps)


def left_out(listing: Listing, tables: Sequence[str]) -> list[Finding]:
    """A sentence each on images of other formats, other files, what the system keeps for itself, and links."""
    findings = []
    images = Counter({end: count for end, count in listing.others.items() if kind_of(end)})
    if images:
        findings.append(Finding("TF010", f"images that cannot be read here: {_counted(images)}{_extras(images)}"))
    if others := listing.others - images:
        findings.append(Finding("TF011", f"other files: {_counted(others)}"))
    if listing.hidden:
        findings.append(Finding("TF012", f"left out: {_counted(listing.hidden)}"))
    if listing.links or listing.repeated:
        links = [f"followed {', '.join(listing.links)}"] if listing.links else []
        links += [f"not followed, because read already: {', '.join(listing.repeated)}"] if listing.repeated else []
        findings.append(Finding("TF013", f"links to folders: {'; '.join(links)}"))
    if tables:
        findings.append(Finding("TF014", f"{', '.join(tables)} in the folder: labels come from the folders"))
    return findings


def _no_images(name: str, listing: Listing) -> TwofoldError:
    held = f"only {_counted(listing.others + listing.hidden)}" if listing.others or listing.hidden else "it is empty"
    others = len(extensions() - set(_COMMON))
    return TwofoldError(
        f"the folder '{name}' holds no readable image ({held}); the names of images "
        f"end in {', '.join(_COMMON)} or {others} others. Give a folder with images{_extras(listing.others)}."
    )


def _extras(others: Counter[str]) -> str:
    """The line that installs what reads some of these files."""
    extras = sorted({extra for end in others if (extra := extra_for(end))})
    return f"; pip install 'twofold[{','.join(extras)}]' for more" if extras else ""


def _counted(others: Counter[str]) -> str:
    """All kinds, images first, then the commonest."""
    order = sorted(others.items(), key=lambda one: (kind_of(one[0]) is None, -one[1], _called(one[0])))
    return ", ".join(f"{count:,} x {_called(end)}" for end, count in order)


def _called(end: str) -> str:
    kind = kind_of(end)
    return f"{end} ({kind})" if kind else end or "no extension"
