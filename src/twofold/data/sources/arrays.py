"""Stacks of images in one NumPy file: .npy of (n, H, W) or (n, H, W, c), .npz of such arrays with labels and splits."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twofold.data.findings import Finding
from twofold.data.record import Record, digest, stamp_path
from twofold.data.sources.names import label_of, split_named
from twofold.errors import TwofoldError

_IMAGES = frozenset({"images", "image", "imgs", "x", "data", "arr"})
_LABELS = frozenset({"labels", "label", "targets", "target", "y"})


class ArraySource:
    """The images of a file, one after the other; an .npy stays on the disk and is read by image."""

    def __init__(self, path: Path, name: str) -> None:
        """Raises TwofoldError for a file that holds no stack of images."""
        self.name, self._path = name, path
        self.findings: list[Finding] = []
        stacks = _stacks(path, name)
        self.records: list[Record] = []
        self._places: list[tuple[np.ndarray, int]] = []
        for stack in stacks:
            labels = stack.labels or [None] * len(stack.images)
            digits, key = len(str(len(stack.images))), f"{stack.key}/" if len(stacks) > 1 else ""
            self._places += [(stack.images, number) for number in range(len(stack.images))]
            self.records += [
                Record(path=f"{path.name}#{key}{number:0{digits}d}", label=label, split=stack.split)
                for number, label in enumerate(labels)
            ]

    def stamp(self) -> str:
        """Over the file's place, size and times."""
        return digest(["arrays", str(self._path.resolve()), stamp_path(self._path)])

    def open(self, index: int) -> io.BytesIO:
        """The image as a file in memory."""
        return io.BytesIO(self.read(index))

    def read(self, index: int) -> bytes:
        """The image as an .npy of its own."""
        images, number = self._places[index]
        stream = io.BytesIO()
        np.save(stream, np.ascontiguousarray(images[number]), allow_pickle=False)
        return stream.getvalue()


@dataclass(frozen=True)
class _Stack:
    key: str
    images: np.ndarray
    labels: list[str | None] | None
    split: str | None


def _stacks(path: Path, name: str) -> list[_Stack]:
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        arrays = {"": loaded} if isinstance(loaded, np.ndarray) else {key: loaded[key] for key in loaded.files}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise TwofoldError(f"'{name}' cannot be read as a NumPy file ({error}). Write it again.") from error
    single = len(arrays) == 1
    images = {key: one for key, one in arrays.items() if single or _rest(key, _IMAGES) is not None}
    stacks = []
    for key, one in images.items():
        if one.ndim not in (3, 4) or one.dtype.kind not in "buif":
            held = f"{one.dtype} of the shape {one.shape}"
            raise TwofoldError(
                f"'{name}' holds {f'{key}: ' if key else ''}{held}, but a stack of images is (n, H, W), (n, H, W, "
                "channels) or (n, channels, H, W) of numbers. Write it so; several .npy files of one image each are a "
                "folder."
            )
        rest = _rest(key, _IMAGES) or ""
        labels = next((arrays[other] for other in arrays if _rest(other, _LABELS) == rest), None)
        if labels is not None and labels.size != len(one):
            raise TwofoldError(
                f"'{name}' holds {len(one):,} images{f' in {key}' if key else ''}, but {labels.size:,} labels. "
                "Give one label an image, or leave the labels out."
            )
        stacks.append(_Stack(key, one, _labels(labels), split_named(rest) if rest else None))
    if not stacks:
        raise TwofoldError(
            f"'{name}' holds the arrays {', '.join(arrays)}, but none is called images, x or data. Rename one of them."
        )
    return stacks


def _rest(key: str, kinds: frozenset[str]) -> str | None:
    """What is left of an array's name without the word for its kind: train of train_images; None for another kind."""
    words = [word for word in key.lower().split("_") if not word.isdigit()]
    left = [word for word in words if word not in kinds]
    return "_".join(left) if len(left) == len(words) - 1 else None


def _labels(values: np.ndarray | None) -> list[str | None] | None:
    return None if values is None else [label_of(value) for value in values.reshape(-1).tolist()]
