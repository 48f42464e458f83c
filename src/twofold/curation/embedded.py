"""Images with their embeddings: what every decision about them starts from."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64
from numpy.lib.format import open_memmap

from twofold.console import say, with_progress
from twofold.curation.cells import EXACT_UP_TO, neighbours
from twofold.curation.kept_arrays import kept_arrays
from twofold.curation.nearest import Neighbours
from twofold.errors import require

_AT_ONCE = 4096  # images between two advances of the progress bar; memory holds their embeddings alone
NEIGHBOURS = 50


@dataclass(frozen=True, eq=False, kw_only=True)
class Embedded:
    """n images: their embeddings h, paths, labels (None where unknown), splits, and numbers of their groups, if any.

    `key` names the content (encoder and images); with it and `cache`, what takes long is kept.
    Raises TwofoldError where the numbers of rows differ.
    """

    h: Float32[np.ndarray, "n d"]
    paths: list[str]
    labels: list[str | None]
    splits: list[str]
    groups: Int64[np.ndarray, " n"] | None = None
    key: str | None = None
    cache: Path | None = None

    def __post_init__(self) -> None:
        for name in ("paths", "labels", "splits", *(["groups"] if self.groups is not None else [])):
            rows = len(getattr(self, name))
            require(rows == len(self.h), name, f"{rows} rows", f"as long as h ({len(self.h)})", fix="Give one a row.")

    def __len__(self) -> int:
        return len(self.h)

    @cached_property
    def classes(self) -> list[str]:
        """The labels there are, sorted."""
        return sorted({label for label in self.labels if label is not None})

    @cached_property
    def class_ids(self) -> Int64[np.ndarray, " n"]:
        """Each row's place in `classes`; -1 where it has no label."""
        places = {name: place for place, name in enumerate(self.classes)}
        return np.array([-1 if label is None else places[label] for label in self.labels], np.int64)

    def groups_of(self, rows: Int64[np.ndarray, " k"]) -> Int64[np.ndarray, " k"] | None:
        """The groups of some rows, or None where nothing is in groups."""
        return None if self.groups is None else self.groups[rows]

    def said_groups(self, rows: Int64[np.ndarray, " k"]) -> dict[str, str]:
        """What tells the groups of some rows from others, for the question that a result folder answers."""
        if self.groups is None:
            return {}
        numbers = np.unique(self.groups[rows], return_inverse=True)[1].astype(np.int64)
        return {"groups": blake2b(numbers.tobytes(), digest_size=8).hexdigest()}

    def rows(self, split: str) -> Int64[np.ndarray, " k"]:
        """The rows of a split, sorted."""
        return np.flatnonzero(np.array(self.splits, dtype=object) == split)

    @cached_property
    def neighbours(self) -> Neighbours:
        """Each image's 50 nearest others by the cosine of h (all, where there are fewer); kept where there is a key.

        Among more than 50,000 images nearly all of them, which is measured and printed.
        """
        if self.key is None or self.cache is None:
            return neighbours(self.h, NEIGHBOURS)

        def make(folder: Path) -> None:
            near = neighbours(self.h, NEIGHBOURS)
            for name in ("cosines", "rows", "recall"):
                np.save(folder / f"{name}.npy", getattr(near, name))

        kept = kept_arrays(self.cache, f"{self.key}-neighbours", ("cosines", "rows", "recall"), make)
        near = Neighbours(kept["cosines"], kept["rows"], float(kept["recall"]))
        if len(self) > EXACT_UP_TO:
            say(f"  of each image's {NEIGHBOURS} nearest {near.recall:.1%} are found, measured on a sample")
        return near


def kept_embeddings(
    cache: Path, key: str, count: int, embed: Callable[[Int64[np.ndarray, " m"]], Float32[np.ndarray, "m d"]]
) -> Float32[np.ndarray, "{count} d"]:
    """embed(rows) of the rows 0 ... count - 1, a part at a time with progress, or what an earlier call kept.

    Raises TwofoldError where the cache cannot be written, and what `embed` raises.
    """

    def make(folder: Path) -> None:
        say(f"  embedding {count:,} images")  # also where no progress bar can be shown
        whole: np.memmap[Any, Any] | None = None
        starts = range(0, count, _AT_ONCE)
        for start in with_progress(starts, "Embedding images", step=_AT_ONCE, total=count):
            part = embed(np.arange(start, min(start + _AT_ONCE, count)))
            if whole is None:
                whole = open_memmap(folder / "h.npy", mode="w+", dtype=np.float32, shape=(count, part.shape[1]))
            whole[start : start + len(part)] = part
        if whole is None:
            np.save(folder / "h.npy", np.zeros((0, 0), np.float32))
        else:
            whole.flush()

    return kept_arrays(cache, f"{key}-h", ("h",), make)["h"]
