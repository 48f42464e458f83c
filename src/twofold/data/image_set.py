"""A set of pictures ready to be read: rows of pixels with their paths, labels and splits."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from twofold.data.cache import cache_folder
from twofold.data.pixels import ImageBatch, Pixels
from twofold.data.record import SPLITS, Record, Source, digest
from twofold.data.sources.source import open_source
from twofold.data.splits import cut_fraction
from twofold.data.store import Quarantined, Store, open_store
from twofold.errors import TwofoldError, unknown_name
from twofold.recipes.recipe import DataRecipe

NO_TEST_SPLIT = "no test split:"  # how the sentence on a cut begins


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSet:
    """The readable pictures of a source, one a row; unreadable ones are only in `quarantine`."""

    name: str
    channels: int
    fingerprint: str  # of the pixels and the splits: equal fingerprints train alike
    paths: list[str]
    labels: list[str | None]
    splits: list[str]  # "train", "validation" or "test"
    quarantine: list[Quarantined]
    stated: list[str]  # sentences for people on what was decided about these pictures
    pixels: Pixels = field(repr=False)

    def __len__(self) -> int:
        return len(self.paths)

    def read(
        self, rows: Int64[np.ndarray, " n"], *, pinned: bool = False, readers: Executor | None = None
    ) -> ImageBatch:
        """Copies of the pictures in `rows`, in that order: (n, channels, H, W) with the largest H and W among them.

        `pinned` and `readers` are what `Pixels.read` takes.
        """
        return self.pixels.read(rows, pinned=pinned, readers=readers)

    def rows(self, split: str) -> Int64[np.ndarray, " k"]:
        """The rows of a split, sorted. Raises TwofoldError for an unknown one."""
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
        return np.flatnonzero(np.array(self.splits, dtype=object) == split)

    @cached_property
    def classes(self) -> list[str]:
        """The labels there are, sorted."""
        return sorted({label for label in self.labels if label is not None})

    @cached_property
    def class_ids(self) -> Int64[np.ndarray, " n"]:
        """Each row's place in `classes`; -1 where unlabelled."""
        numbers = {name: number for number, name in enumerate(self.classes)}
        return np.array([-1 if label is None else numbers[label] for label in self.labels], np.int64)

    @cached_property
    def is_labelled(self) -> bool:
        """Whether every picture to train on has a label and there are at least two different ones."""
        ids = set(self.class_ids[self.rows("train")].tolist())
        return -1 not in ids and len(ids) >= 2


def load_images(
    data: str | Path,
    *,
    recipe: DataRecipe,
    store_px: int | None,
    cache: Path | None = None,
    show_progress: bool = False,
    allow_outside: bool = False,
) -> ImageSet:
    """Open the pictures in `data`, decoding them into the cache where that has not been done yet.

    `data` and `allow_outside` are what `open_source` takes. Pictures whose short side is above `store_px` shrink to it
    (their long side to 4 store_px at most). Raises TwofoldError where there are no pictures or more of them than
    `recipe.max_unreadable_fraction` cannot be read.
    """
    folder = cache_folder(cache)
    source = open_source(data, cache=folder, allow_outside=allow_outside)
    store = open_store(source, channels=recipe.channels, short_px=store_px, cache=folder, show_progress=show_progress)
    quarantine = [Quarantined(source.records[i].path, reason) for i, reason in sorted(store.unreadable.items())]
    _require_readable(source, quarantine, recipe.max_unreadable_fraction)
    records = [source.records[i] for i in store.records]
    splits, stated = assign_splits(records, recipe)
    return ImageSet(
        name=source.name,
        channels=recipe.channels,
        fingerprint=_fingerprint(store, splits),
        paths=[r.path for r in records],
        labels=[r.label for r in records],
        splits=splits,
        quarantine=quarantine,
        stated=[*source.stated, *stated],
        pixels=store.pixels,
    )


def assign_splits(records: Sequence[Record], recipe: DataRecipe) -> tuple[list[str], list[str]]:
    """Each record's split, and what was decided. Labelled records without a test split have one cut off train."""
    splits = [record.split or "train" for record in records]
    train = [row for row, split in enumerate(splits) if split == "train"]
    labels = [records[row].label for row in train]
    labelled = sum(label is not None for label in labels)
    if 0 < labelled < len(train):
        return splits, [f"labels: only {labelled:,} of {len(train):,} train pictures have one, so none is used"]
    if "test" in splits or len(set(labels)) < 2 or recipe.test_fraction == 0:
        return splits, []
    _, cut = cut_fraction([records[row].path for row in train], recipe.test_fraction, recipe.data_seed, labels)
    for row in cut:
        splits[train[row]] = "test"
    share = f"{100 * recipe.test_fraction:g} %"
    return splits, [f"{NO_TEST_SPLIT} {share} ({len(cut):,} images) cut off as test by seed {recipe.data_seed}"]


def _require_readable(source: Source, quarantine: Sequence[Quarantined], limit: float) -> None:
    count, bad = len(source.records), len(quarantine)
    if bad == 0 or (bad < count and bad <= limit * count):
        return
    examples = "; ".join(f"{one.path}: {one.reason}" for one in quarantine[:3])
    if bad == count:
        raise TwofoldError(
            f"none of the {count:,} files in '{source.name}' can be read as a picture ({examples}). "
            "Give a folder with whole pictures."
        )
    raise TwofoldError(
        f"{bad:,} of {count:,} files in '{source.name}' ({bad / count:.1%}) cannot be read, more than the "
        f"{limit:.0%} allowed ({examples}). Mend or remove them, or raise --max-unreadable-fraction."
    )


def _fingerprint(store: Store, splits: Sequence[str]) -> str:
    return digest([store.name, list(splits)])
