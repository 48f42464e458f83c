"""Data sets that torchvision knows by name."""

import contextlib
import difflib
import hashlib
import inspect
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from twofold.data.quiet import quiet
from twofold.data.record import Record, digest, stamp_path
from twofold.errors import TwofoldError

_BY_FLAG = ("CIFAR10", "CIFAR100", "FashionMNIST", "KMNIST", "MNIST", "USPS")
_BY_SPLIT: dict[str, tuple[str, ...]] = {  # torchvision's names of the splits
    "Country211": ("train", "valid", "test"),
    "DTD": ("train", "val", "test"),
    "FER2013": ("train", "test"),
    "FGVCAircraft": ("train", "val", "test"),
    "Flowers102": ("train", "val", "test"),
    "Food101": ("train", "test"),
    "GTSRB": ("train", "test"),
    "ImageNet": ("train", "val"),
    "Imagenette": ("train", "val"),
    "OxfordIIITPet": ("trainval", "test"),
    "PCAM": ("train", "val", "test"),
    "RenderedSST2": ("train", "val", "test"),
    "STL10": ("train", "test"),
    "StanfordCars": ("train", "test"),
    "SVHN": ("train", "test"),
}
_WHOLE = ("Caltech101", "Caltech256", "EuroSAT", "SEMEION")
_OURS = {"trainval": "train", "val": "validation", "valid": "validation"}
_FILES = ("samples", "_samples", "_image_files", "_images")  # where data sets keep their paths, or (path, label)
_SAMPLED = 64  # images behind a stamp, for data sets that keep theirs in no way that is known here

NAMES = (*_BY_FLAG, *_BY_SPLIT, *_WHOLE)


class TorchvisionSource:
    """A data set of torchvision with all its splits, downloaded to `root` where it is missing."""

    def __init__(self, dataset: str, root: Path, name: str) -> None:
        """Raises TwofoldError where the data set cannot be had."""
        self.name, self.findings = name, ()
        self._key = ["torchvision", dataset, str(root.resolve())]
        self._parts: list[tuple[Any, int]] = []  # (data set, number of the image in it), one for each record
        self.records: list[Record] = []
        for split, build in _builders(dataset, root):
            part = _build(dataset, root, build)
            labels = _labels(part)
            digits = len(str(len(labels)))
            self._parts += [(part, i) for i in range(len(labels))]
            self.records += [
                Record(path=f"{split or 'all'}/{i:0{digits}d}", label=label, split=split)
                for i, label in enumerate(labels)
            ]

    def stamp(self) -> str:
        """Over the labels, the pixels in memory, size and times of the files, and some images, evenly spread."""
        some = range(0, len(self.records), max(1, len(self.records) // _SAMPLED))
        content = [self.read(i).tobytes().hex() for i in some]
        parts = list({id(part): part for part, _ in self._parts}.values())
        behind = [[_pixels_digest(part), *_file_stamps(part)] for part in parts]
        return digest([*self._key, [(r.path, r.label) for r in self.records], content, behind])

    def open(self, index: int) -> Image.Image:
        """The same as `read`."""
        return self.read(index)

    def read(self, index: int) -> Image.Image:
        """The decoded image."""
        part, number = self._parts[index]
        return part[number][0]


def find_dataset(name: str) -> str | None:
    """torchvision's spelling of a name, whatever its case; None where there is no such data set."""
    return {known.lower(): known for known in NAMES}.get(name.lower())


def nearest_dataset(name: str) -> str | None:
    """The data set whose name resembles `name` most, if any does."""
    spelling = {known.lower(): known for known in NAMES}
    near = difflib.get_close_matches(name.lower(), spelling, n=1)
    return spelling[near[0]] if near else None


def _builders(dataset: str, root: Path) -> list[tuple[str | None, Callable[[], Any]]]:
    """(split, function that builds it)."""
    import torchvision.datasets

    kind = getattr(torchvision.datasets, dataset)
    fixed = {"root": root} | ({"download": True} if "download" in inspect.signature(kind).parameters else {})
    if dataset in _BY_FLAG:
        return [(split, partial(kind, train=split == "train", **fixed)) for split in ("train", "test")]
    if dataset in _BY_SPLIT:
        return [(_OURS.get(s, s), partial(kind, split=s, **fixed)) for s in _BY_SPLIT[dataset]]
    return [(None, partial(kind, **fixed))]


def _build(dataset: str, root: Path, build: Callable[[], Any]) -> Any:
    silent = io.StringIO()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with quiet(), contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
            return build()
    except Exception as error:  # no network, no space, a broken archive, a missing package: all end here
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise TwofoldError(
            f"torchvision's data set '{dataset}' cannot be downloaded to '{root}' ({reason[:200]}). Put its files "
            f"there, say where they are with {dataset}@FOLDER, or give a folder of images."
        ) from error


def _pixels_digest(part: Any) -> str | None:
    """Of the pixels, where the data set holds them all."""
    pixels = getattr(part, "data", None)
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest() if hasattr(pixels, "__array__") else None


def _file_stamps(part: Any) -> list[tuple[str, tuple[int, int, int] | None]]:
    """Of the images' files, where the data set lists them."""
    listed: Any = next((getattr(part, name) for name in _FILES if getattr(part, name, None)), [])
    paths = [one[0] if isinstance(one, tuple) else one for one in listed]
    return [(str(path), stamp_path(Path(path))) for path in paths if isinstance(path, str | Path)]


def _labels(part: Any) -> list[str | None]:
    """Each image's class by name where the set has names, else its number; None for the number -1."""
    targets = next((getattr(part, name) for name in ("targets", "labels", "_labels", "y") if hasattr(part, name)), None)
    if targets is None:
        pairs = getattr(part, "samples", None) or getattr(part, "_samples", None)
        targets = [pair[1] for pair in pairs] if pairs else [part[i][1] for i in range(len(part))]
    names = getattr(part, "classes", None) or getattr(part, "categories", None)
    numbers = [int(target) for target in targets]
    return [None if n < 0 else _class_name(names[n]) if names else str(n) for n in numbers]


def _class_name(name: Any) -> str:
    """ImageNet gives several names for a class: the first."""
    return str(name[0]) if isinstance(name, tuple) else str(name)
