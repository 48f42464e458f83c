"""A folder of pictures, at any depth: sub-folders may be splits and labels."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from twofold.data.record import EXTENSIONS, SPLIT_NAMES, Record, digest, file_stamp, shown
from twofold.data.sources.reach import open_regular, read_regular
from twofold.errors import TwofoldError

FileStamp = tuple[int, int, int] | None
_NO_FILE = "pipe, socket or device"


class FolderSource:
    """Every picture below a folder, sorted by path. Hidden names and other kinds of files are left out."""

    def __init__(self, root: Path, name: str) -> None:
        """Raises TwofoldError where a folder cannot be listed and where there is no picture."""
        self.name = name
        self._root = root
        found, others = _scan(root)
        if not found:
            raise _no_pictures(name, others)
        self.stated = [f"passed over, not by name a picture: {_held(others)}"] if others else []
        found.sort(key=lambda file: file[0])
        self._files = [path for path, _ in found]
        self._stamps = [stamp for _, stamp in found]
        self.records = label_by_folder([shown(path) for path in self._files])

    def stamp(self) -> str:
        """Over the place, and each file's path, size and times as they were when the folder was opened."""
        return digest(["folder", str(self._root.resolve()), self._files, self._stamps])

    def open(self, index: int) -> BinaryIO:
        """The file of a record, open for reading."""
        return open_regular(self._root / self._files[index])

    def read(self, index: int) -> bytes:
        """The content of a record's file."""
        return read_regular(self._root / self._files[index])


def label_by_folder(paths: Sequence[str]) -> list[Record]:
    """Records whose split and label are read off their folders.

    The folders on top are splits if all of them are called train, validation (val, valid) or test. The first folder
    below is the label, if every picture lies in one and there are at least two of them.
    """
    parts = [path.split("/") for path in paths]
    have_splits = all(len(part) > 1 and part[0].lower() in SPLIT_NAMES for part in parts)
    if not have_splits:
        _require_no_mixture(paths)
    depth = 1 if have_splits else 0
    labels = {part[depth] if len(part) > depth + 1 else None for part in parts}
    labelled = None not in labels and len(labels) >= 2
    return [
        Record(
            path=path,
            label=part[depth] if labelled else None,
            split=SPLIT_NAMES[part[0].lower()] if have_splits else None,
        )
        for path, part in zip(paths, parts, strict=True)
    ]


def _require_no_mixture(paths: Sequence[str]) -> None:
    """Refuse pictures beside train/ and test/: they would make classes of the splits, and train on test."""
    tops = {path.split("/")[0].lower() for path in paths if "/" in path}
    if "train" in tops and (tops & set(SPLIT_NAMES)) - {"train"}:
        stray = next(p for p in paths if "/" not in p or p.split("/")[0].lower() not in SPLIT_NAMES)
        raise TwofoldError(
            f"'{stray}' lies beside train/ and other splits, but then all pictures must lie in one. "
            "Move it into one of them or out of the folder."
        )


def _scan(root: Path) -> tuple[list[tuple[str, FileStamp]], Counter[str]]:
    """(path below the root, stamp) of the pictures, and how many files there are of other kinds.

    Linked folders come after all real ones and only where nobody has been yet: loops end, and a folder that can be
    reached in two ways counts once, under its own name.
    """
    found: list[tuple[str, FileStamp]] = []
    others: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()
    real, linked = [(str(root), "")], list[tuple[str, str]]()
    while real or linked:
        folder, prefix = real.pop() if real else linked.pop(0)
        place = Path(folder).stat()
        if (place.st_dev, place.st_ino) in seen:
            continue
        seen.add((place.st_dev, place.st_ino))
        for entry in _listing(folder):
            if entry.is_dir():
                (linked if entry.is_symlink() else real).append((entry.path, f"{prefix}{entry.name}/"))
            elif (kind := _extension(entry.name)) not in EXTENSIONS:
                others[kind] += 1
            elif entry.is_file():
                found.append((prefix + entry.name, file_stamp(entry.stat())))
            elif entry.is_symlink():
                found.append((prefix + entry.name, None))  # to nowhere or to a pipe: reading it fails, with a reason
            else:
                others[_NO_FILE] += 1
    return found, others


def _listing(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from sorted((e for e in entries if not e.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise TwofoldError(
            f"the folder '{shown(folder)}' cannot be listed ({error.strerror}), but all folders of the data must be "
            "readable. Change its permissions or move it elsewhere."
        ) from error


def _extension(name: str) -> str:
    stem, dot, end = name.rpartition(".")
    return dot + end.lower() if stem else ""


def _no_pictures(name: str, others: Counter[str]) -> TwofoldError:
    kinds = ", ".join(sorted(EXTENSIONS))
    held = f"only {_held(others)}" if others else "it is empty"
    return TwofoldError(
        f"the folder '{name}' holds no picture ({held}); the names of pictures "
        f"end in {kinds}. Give a folder with pictures."
    )


def _held(others: Counter[str]) -> str:
    """The three commonest other kinds of files."""
    return ", ".join(f"{count:,} x {kind or 'no extension'}" for kind, count in others.most_common(3))
