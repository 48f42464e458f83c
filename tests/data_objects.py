"""Data sets as users have them in Python: of torch, and of Hugging Face by what it offers."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import Dataset


def pixels(count: int, *, channels: int = 3, seed: int = 0) -> list[np.ndarray]:
    """Images of several sizes, (H, W, channels) uint8."""
    draw = np.random.default_rng(seed)
    sides = draw.integers(16, 24, (count, 2))
    return [draw.integers(0, 256, (*side, channels), dtype=np.uint8) for side in sides.tolist()]


class Pairs(Dataset[Any]):
    """(image, label), as the data sets of torchvision."""

    def __init__(self, images: Sequence[Any], labels: Sequence[Any] | None = None, classes: Any = None) -> None:
        self.images, self.labels, self.reads = images, labels, 0
        if classes:
            self.classes = classes

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        self.reads += 1
        return self.images[index] if self.labels is None else (self.images[index], self.labels[index])


class Image_:  # noqa: N801  # the feature's name is Image
    def __init__(self, decode: bool = True) -> None:
        self.decode = decode


Image_.__name__ = "Image"


class ClassLabel:
    def __init__(self, names: list[str]) -> None:
        self.names = names


class HuggingFace:
    """What `datasets.Dataset` offers to read it; its images lie as PNG."""

    def __init__(self, columns: dict[str, list[Any]], features: dict[str, Any], kind: str | None = None) -> None:
        self._columns, self.features, self._kind = columns, features, kind
        self.builder_name = "made_up"

    @classmethod
    def of(cls, images: Sequence[np.ndarray], labels: list[int], names: list[str], column: str = "image") -> Any:
        cells = [{"bytes": _png(image), "path": None} for image in images]
        return cls({column: cells, "label": labels}, {column: Image_(), "label": ClassLabel(names)})

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    @property
    def format(self) -> dict[str, Any]:
        return {"type": self._kind}

    def with_format(self, kind: str | None) -> "HuggingFace":
        return HuggingFace(self._columns, self.features, kind)

    def cast_column(self, column: str, feature: Any) -> "HuggingFace":
        return HuggingFace(self._columns, {**self.features, column: feature}, self._kind)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self._columns[key]
        row = {name: cells[key] for name, cells in self._columns.items()}
        for name, feature in self.features.items():
            if getattr(feature, "decode", False):
                row[name] = Image.open(io.BytesIO(row[name]["bytes"]))
        return row


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(buffer, format="PNG")
    return buffer.getvalue()
