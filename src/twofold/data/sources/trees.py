"""Images at paths below a root that is no single folder: an archive, several folders, single files; or all of these."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from twofold.data.findings import Finding
from twofold.data.formats import File
from twofold.data.record import Record, shown
from twofold.data.records import Records
from twofold.data.sources.layout import read_layout
from twofold.data.sources.listing import FileStamp
from twofold.data.sources.reach import open_regular, read_regular
from twofold.data.sources.sidecars import Told
from twofold.errors import TwofoldError


@runtime_checkable
class Tree(Protocol):
    """Images below one root."""

    @property
    def paths(self) -> Sequence[str]:
        """Of each image, below the root, parted by "/"."""
        ...

    @property
    def told(self) -> Sequence[Told]:
        """Label and group of each image, where files beside them say it; else empty."""
        ...

    @property
    def findings(self) -> Sequence[Finding]:
        """What is no image."""
        ...

    def file_stamps(self) -> Iterator[str]:
        """For each image a text that changes whenever it may have changed, with its place."""
        ...

    def open(self, index: int) -> File:
        """An image's file, open for reading. Raises OSError."""
        ...

    def read(self, index: int) -> bytes:
        """The content of an image's file. Raises OSError."""
        ...


class FileTree:
    """Files below a folder."""

    def __init__(self, root: Path, files: Sequence[tuple[str, FileStamp]], findings: Sequence[Finding] = ()) -> None:
        self.paths, self.findings = [path for path, _ in files], findings
        self.told: list[Told] = []
        self._root, self._stamps = root, [stamp for _, stamp in files]

    def file_stamps(self) -> Iterator[str]:
        """Each file's path, size and times."""
        root = self._root.resolve()
        pairs = zip(self.paths, self._stamps, strict=True)
        return (f"{root}/{path} {stamp.hex() if stamp else ''}" for path, stamp in pairs)

    def path_of(self, index: int) -> Path:
        """Where a file lies."""
        return self._root / self.paths[index]

    def open(self, index: int) -> File:
        """A file, open for reading."""
        return open_regular(self.path_of(index))

    def read(self, index: int) -> bytes:
        """The content of a file."""
        return read_regular(self.path_of(index))


class Part(NamedTuple):
    """A tree within a data set: what stands before its paths where they are shown, and where folders are read."""

    tree: Tree
    root: str = ""
    top: str = ""


class TreesSource:
    """The images of one or several trees; several are read as one folder that holds them all."""

    def __init__(self, parts: Sequence[Part], name: str) -> None:
        """Raises TwofoldError where there is no image."""
        trees = [part.tree for part in parts]
        self.name, self._trees = name, trees
        self._first = np.array([0, *accumulate(len(tree.paths) for tree in trees)])
        if self._first[-1] == 0:
            held = "; ".join(finding.text for tree in trees for finding in tree.findings) or "nothing"
            raise TwofoldError(f"'{name}' holds no readable image ({held}). Give one with images.")
        calls = [part.root + shown(path) for part in parts for path in part.tree.paths]
        layout = read_layout([part.top + shown(path) for part in parts for path in part.tree.paths])
        told = [one for tree in trees for one in tree.told or [Told()] * len(tree.paths)]
        self.records: Sequence[Record] = Records(calls, layout.records.labels, layout.records.splits)
        said = [finding for tree in trees for finding in tree.findings]
        if any(one.label for one in told):
            self.records = [_labelled(record, one) for record, one in zip(self.records, told, strict=True)]
            text = f"labels of {sum(one.label is not None for one in told):,} images come from the files next to them"
            said = [Finding("TF047", f"{text} (.cls, .label or .json of the same name)"), *said]
        self.findings = [*layout.findings, *said]

    def stamp(self) -> str:
        """Over each image's place, size and times as they were when the data were opened."""
        state = hashlib.sha256(b"trees")
        for text in self.file_stamps():
            state.update(text.encode("utf-8", "surrogateescape") + b"\0")
        return state.hexdigest()

    def file_stamps(self) -> Iterator[str]:
        """Those of all trees."""
        for tree in self._trees:
            yield from tree.file_stamps()

    def path_of(self, index: int) -> Path | None:
        """Where the file of a record lies, None in an archive and the like."""
        tree, place = self._place(index)
        return tree.path_of(place) if isinstance(tree, FileTree) else None

    def open(self, index: int) -> File:
        """The file of a record, open for reading."""
        tree, place = self._place(index)
        return tree.open(place)

    def read(self, index: int) -> bytes:
        """The content of a record's file."""
        tree, place = self._place(index)
        return tree.read(place)

    def _place(self, index: int) -> tuple[Tree, int]:
        number = int(np.searchsorted(self._first, index, side="right")) - 1
        return self._trees[number], index - int(self._first[number])


def _labelled(record: Record, told: Told) -> Record:
    return replace(record, label=told.label, group=told.group)
