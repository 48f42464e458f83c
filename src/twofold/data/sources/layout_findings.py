"""What is said of folders that were read one way and may be meant another way, and how folders are named in it."""

import re
from collections import Counter
from collections.abc import Collection, Sequence

from twofold.data.findings import Finding

Folders = tuple[str, ...]  # the names of the folders above an image, the outermost first

_CAMERA = re.compile(r"\d{3}[A-Z0-9_]{5}")  # how cameras and phones call the folders below DCIM
_ROOT = "dcim"
_ITS_OWN = frozenset({_ROOT, "camera", "camera roll", "saved pictures", "whatsapp images", "telegram images"})
_PHONE = _ITS_OWN | frozenset(  # what else phones have beside these; alone they may well be classes
    {"pictures", "photos", "images", "screenshots", "movies"}
    | {"download", "downloads", "documents", "bluetooth", "edited", "sent", "snapseed", "facebook", "instagram"}
    | {"messenger", "snapchat", "telegram", "viber", "signal", "whatsapp"}
)
DATE = re.compile(r"(19|20)\d\d([-_. ]?(0[1-9]|1[0-2])([-_. ]?[0-3]\d)?)?")
MASKS = frozenset(
    {"mask", "masks", "labels", "annotations", "ground_truth", "groundtruth", "gt"}
    | {"segmentationclass", "segmentationobject"}
)
KINDS_OF_FILES = MASKS | {"images", "image", "img", "imgs", "jpegimages", "thumbnails", "raw", "rgb"}
_ENDING = 32  # letters that tell a mask
_TOGETHER = 4096  # names that are looked through at once
_WORDS_OF_MASKS = ("mask", "seg", "gt", "label")
_MASK_OF = re.compile(r"[ _.-](masks?|seg|segmentation|gt|labels?)([ _-]?\d+)?\.\w+$", re.IGNORECASE)


def are_of_a_camera(folders: Collection[str]) -> bool:
    """Whether cameras and phones have folders of these names; with DCIM among them whatever the others are."""
    counted = {name for name in folders if _CAMERA.fullmatch(name)}
    others = {name.lower().replace("_", " ") for name in set(folders) - counted}
    return _ROOT in others or (others <= _PHONE and bool(counted or others & _ITS_OWN))


def strays(paths: Sequence[str], where: str) -> list[Finding]:
    """Images that lie beside the folders of `where`: splits or classes."""
    if not paths:
        return []
    what = "1 image" if len(paths) == 1 else f"{len(paths):,} images"
    return [Finding("TF004", f"{what} next to the folders of the {where}, trained on without a label: {few(paths)}")]


def mask_files(paths: Sequence[str]) -> list[Finding]:
    """Files that are called as masks of others in their folder: 1_mask.png beside 1.png."""
    found = []
    for start in range(0, len(paths), _TOGETHER):
        part = paths[start : start + _TOGETHER]
        together = "\n".join(part).lower()
        if any(word in together for word in _WORDS_OF_MASKS):
            matches = ((path, _MASK_OF.search(path, max(0, len(path) - _ENDING))) for path in part)
            found += [(path, path[: match.start()]) for path, match in matches if match]
    if not found:
        return []
    stems = {path.rpartition(".")[0] for path in paths}
    masks = [path for path, stem in found if stem in stems]
    if not masks:
        return []
    are = "1 file is called as the mask" if len(masks) == 1 else f"{len(masks):,} files are called as masks"
    return [Finding("TF019", f"{are} of the image next to it, and trained on like an image: {few(masks)}")]


def shared_below(folders: Sequence[Folders | None]) -> list[Finding]:
    """Classes of which most hold sub-folders of the same two or more names, which may be the classes."""
    below: dict[str, set[str]] = {}
    for names in folders:
        if names:
            below.setdefault(names[0], set()).update(names[1:2])
    held = Counter(name for names in below.values() for name in names)
    shared = sorted(name for name, count in held.items() if 2 * count > len(below))
    are_no_classes = KINDS_OF_FILES & {name.lower() for name in shared} or all(map(DATE.fullmatch, shared))
    if len(below) < 2 or len(shared) < 2 or 2 * len(shared) < len(held) or are_no_classes:
        return []
    text = f"{names_of(sorted(below))} are read as classes, and most of them hold {names_of(shared)}"
    return [Finding("TF035", f"{text}, which may be the classes")]


def is_(names: Collection[str]) -> str:
    """The verb that fits."""
    return "is" if len(names) == 1 else "are"


def hold(names: Collection[str]) -> str:
    """The verb that fits."""
    return "holds" if len(names) == 1 else "hold"


def names_of(names: Sequence[str]) -> str:
    """The first few folders."""
    return few([f"{name}/" for name in names])


def few(names: Sequence[str], most: int = 4) -> str:
    """The first few of them, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
