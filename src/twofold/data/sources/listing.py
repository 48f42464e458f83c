"""The files below a folder: which are images by name, and all the others, counted by kind."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter
from pathlib import Path
from stat import S_ISREG
from struct import Struct

from twofold.data.formats import SLIDES, extensions
from twofold.data.record import file_stamp, shown
from twofold.errors import TwofoldError

FileStamp = bytes | None  # `file_stamp`, packed
_STAMP = Struct("<qqq")
_NO_STAMP = bytes(_STAMP.size)
_AT_ONCE = 4096  # files
NO_FILE = "pipe, socket or device"
TABLES = frozenset({".csv", ".tsv", ".jsonl", ".parquet", ".xlsx"})
ARRAYS = (".npy", ".npz")
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
_SYSTEM = frozenset(  # what storage devices, desktops and archives put into people's folders
    {"@eadir", "__macosx", "$recycle.bin", "#recycle", "@recycle", "#snapshot", "@tmp", "lost+found"}
    | {"system volume information", "thumbs.db", "desktop.ini", "picasa.ini", "ehthumbs.db"}
)
_RAW = "arw cr2 cr3 crw dng nef nrw orf pef raf raw rw2 sr2 srw x3f"
_KINDS = (
    {f".{end}": "RAW image" for end in _RAW.split()}
    | dict.fromkeys((".heic", ".heif", ".hif"), "HEIC image")
    | dict.fromkeys((".dcm", ".dicom", ".ima"), "DICOM image")
    | dict.fromkeys((".nii", ".mha", ".mhd", ".nrrd"), "volume image")
    | dict.fromkeys(SLIDES, "whole-slide image")
    | dict.fromkeys((".czi", ".lif", ".nd2", ".oib", ".oif", ".vsi", ".lsm", ".stk"), "microscope image")
    | {".img": "Imagine image", ".vrt": "list of other rasters"}
    | dict.fromkeys((".fits", ".fit", ".fts"), "FITS image")
    | dict.fromkeys((".npy", ".npz", ".mat", ".h5", ".hdf5", ".zarr"), "array file")
    | {
        ".pam": "netpbm image",
        ".exr": "EXR image",
        ".hdr": "HDR image",
        ".jxl": "JPEG XL image",
    }
    | {".svg": "vector image", ".eps": "vector image", ".ico": "icon", ".xcf": "GIMP image"}
)


@dataclass
class Listing:
    """What lies below a folder."""

    files: list[tuple[str, FileStamp]] = field(default_factory=list)  # images: (path below the folder, stamp), sorted
    others: Counter[str] = field(default_factory=Counter)  # extension with its dot -> files
    hidden: Counter[str] = field(default_factory=Counter)  # kind of what the system keeps -> names
    links: list[str] = field(default_factory=list)  # linked folders that were read
    repeated: list[str] = field(default_factory=list)  # linked folders that lead to one that was read already
    tables: list[str] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)
    arrays: list[tuple[str, FileStamp]] = field(default_factory=list)  # .npy and .npz, as `files`


def kind_of(extension: str) -> str | None:
    """What images of an extension that is not read here are called; None where it is no image."""
    return None if extension in extensions() else _KINDS.get(extension)


def list_images(root: Path) -> Listing:
    """Everything below a folder. Raises TwofoldError where a folder cannot be listed.

    Linked folders come after all real ones and only where nobody has been yet: loops end, and a folder that can be
    reached in two ways counts once, under its own name.
    """
    listing = Listing()
    seen: set[tuple[int, int]] = set()
    real, linked = [(str(root), "")], list[tuple[str, str]]()
    while real or linked:
        is_link = not real
        folder, prefix = real.pop() if real else linked.pop(0)
        place = Path(folder).stat()
        is_new = (place.st_dev, place.st_ino) not in seen
        if is_link:
            (listing.links if is_new else listing.repeated).append(shown(prefix))
        if is_new:
            seen.add((place.st_dev, place.st_ino))
            _take(listing, folder, prefix, real, linked)
    if not listing.files:  # beside images they are something else, such as embeddings
        listing.files = listing.arrays
        for end in ARRAYS if listing.arrays else ():
            listing.others.pop(end, None)
    listing.files.sort(key=itemgetter(0))
    return listing


def _take(
    listing: Listing, folder: str, prefix: str, real: list[tuple[str, str]], linked: list[tuple[str, str]]
) -> None:
    """Sort in what lies in a folder; no image is called as what the system keeps, but for a point in front."""
    is_image: dict[str, bool] = {}  # ending as it is written
    others: list[os.DirEntry[str]] = []
    with _entries(folder) as entries:
        for entry in entries:
            name = entry.name
            end = name[name.rfind(".") :]
            if end not in is_image:
                is_image[end] = end.lower() in extensions()
            if is_image[end] and name[0] != ".":
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # removed since
                    continue
                if S_ISREG(status.st_mode):
                    listing.files.append((prefix + name, packed_stamp(status)))
                    continue
            others.append(entry)
        for entry in sorted(others, key=attrgetter("name")):
            with suppress(FileNotFoundError):
                _sort_in(listing, entry, folder, prefix, real, linked)


def _sort_in(
    listing: Listing,
    entry: os.DirEntry[str],
    folder: str,
    prefix: str,
    real: list[tuple[str, str]],
    linked: list[tuple[str, str]],
) -> None:
    name = entry.name
    if (why := left_out_by_name(name)) is not None:
        listing.hidden[why] += 1
    elif _is(entry, entry.is_dir):
        (linked if entry.is_symlink() else real).append((str(Path(folder, name)), f"{prefix}{name}/"))
    elif (end := extension_of(name)) not in extensions():
        listing.others[end] += 1
        if end in TABLES:
            listing.tables.append(shown(prefix + name))
        elif is_archive(name):
            listing.archives.append(prefix + name)
        elif end in ARRAYS and _is(entry, entry.is_file):
            listing.arrays.append((prefix + name, packed_stamp(entry.stat())))
    elif _is(entry, entry.is_file):
        listing.files.append((prefix + name, packed_stamp(entry.stat())))
    elif entry.is_symlink():
        listing.files.append((prefix + name, None))  # to nowhere or to a pipe: reading it fails, with a reason
    else:
        listing.others[NO_FILE] += 1


def packed_stamp(status: os.stat_result) -> FileStamp:
    """`file_stamp`, packed."""
    return _STAMP.pack(*file_stamp(status))


def digest_of_files(root: str, paths: Sequence[str], stamps: Sequence[FileStamp]) -> str:
    """SHA-256 (hex) over a folder's place, the paths below it and their stamps."""
    state = hashlib.sha256(f"{len(paths)} files\0{root}\0".encode("utf-8", "surrogateescape"))
    for start in range(0, len(paths), _AT_ONCE):
        state.update("\0".join([*paths[start : start + _AT_ONCE], ""]).encode("utf-8", "surrogateescape"))
        state.update(b"".join(stamp or _NO_STAMP for stamp in stamps[start : start + _AT_ONCE]))
    return state.hexdigest()


def left_out_by_name(path: str) -> str | None:
    """What a path is, whose names, parted by "/", say that it is the system's own; None for all others."""
    is_hidden = False
    for name in path.split("/"):
        if name.lower() in _SYSTEM:
            return shown(name)
        is_hidden = is_hidden or name.startswith(".")
    return "hidden files and folders" if is_hidden else None


def _is(entry: os.DirEntry[str], kind: Callable[[], bool]) -> bool:
    """Whether an entry is a folder or a file; a link that leads to itself is neither."""
    try:
        return kind()
    except OSError:
        if entry.is_symlink():
            return False
        raise


def is_archive(name: str) -> bool:
    """Whether a file is an archive that is read here, by its name."""
    return name.lower().endswith(ARCHIVES)


def extension_of(name: str) -> str:
    """With its dot, in small letters; "" where there is none."""
    stem, dot, end = name.rpartition(".")
    return dot + end.lower() if stem else ""


@contextmanager
def _entries(folder: str) -> Iterator[Iterator[os.DirEntry[str]]]:
    """What lies in a folder, which is kept open: its files are then found without their whole path.

    Raises TwofoldError where something in it cannot be looked at.
    """
    try:
        with ExitStack() as stack:
            place: str | int = folder
            if os.scandir in os.supports_fd:
                with suppress(OSError):  # listing it says why
                    place = os.open(folder, os.O_RDONLY)
                    stack.callback(os.close, place)
            yield stack.enter_context(os.scandir(place))
    except OSError as error:
        raise TwofoldError(
            f"the folder '{shown(folder)}' cannot be listed ({error.strerror}), but all folders of the data must be "
            "readable. Change its permissions or move it elsewhere."
        ) from error
