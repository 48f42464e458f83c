"""A set of images ready to be read: rows of pixels with their paths, labels and splits."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from twofold.console import say
from twofold.data.cache import cache_folder
from twofold.data.decode import Rules
from twofold.data.facts import look_at
from twofold.data.file_pixels import FilePixels
from twofold.data.findings import Finding
from twofold.data.formats import NO_DATA, RangeNeededError
from twofold.data.pixels import ImageBatch, Pixels
from twofold.data.ranges import find_range, known_range
from twofold.data.record import SPLITS, Source, digest
from twofold.data.samples import Range
from twofold.data.sources.columns import Columns
from twofold.data.sources.source import open_source
from twofold.data.sources.tiles import divided
from twofold.data.store import Quarantined, Store, open_each_time, open_store
from twofold.data.survey import Survey, survey_of
from twofold.errors import TwofoldError, unknown_name
from twofold.recipes.recipe import DataRecipe


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSet:
    """The readable images of a source, one a row; unreadable ones are only in `quarantine`."""

    name: str
    channels: int
    fingerprint: str  # of the pixels and the splits: equal fingerprints train alike
    paths: list[str]
    labels: list[str | None]
    splits: list[str]  # "train", "validation" or "test"
    quarantine: list[Quarantined]
    findings: list[Finding]  # what was decided about these images, and what is wrong with them
    pixels: Pixels | FilePixels = field(repr=False)
    test_from: str | None = None  # where test comes from: "own", "validation" images, "cut" by the seed; None: no test
    groups: list[str | None] = field(default_factory=list)  # of each row; empty where no image has one
    survey: Survey | None = None  # of a set that was opened here
    range: Range | None = None  # that images of more than 8 bits were scaled by

    def __len__(self) -> int:
        return len(self.paths)

    def read(
        self, rows: Int64[np.ndarray, " n"], *, pinned: bool = False, readers: Executor | None = None
    ) -> ImageBatch:
        """Copies of the images in `rows`, in that order: (n, channels, H, W) with the largest H and W among them.

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
        """Whether images to train on have labels, of at least two classes. Others may have none."""
        return len(set(self.class_ids[self.labelled_rows("train")].tolist())) >= 2

    def labelled_rows(self, split: str) -> Int64[np.ndarray, " k"]:
        """The rows of a split that have a label, sorted. Raises TwofoldError for an unknown split."""
        rows = self.rows(split)
        return rows[self.class_ids[rows] >= 0]

    @property
    def stated(self) -> list[str]:
        """The findings as sentences."""
        return [finding.text for finding in self.findings]


def load_images(
    data: str | Path | Source,
    *,
    recipe: DataRecipe,
    store_px: int | None,
    cache: Path | None = None,
    show_progress: bool = False,
    allow_outside: bool = False,
) -> ImageSet:
    """Open the images in `data`, decoding them into the cache where that has not been done yet.

    `data` and `allow_outside` are what `open_source` takes. Images whose short side is above `store_px` shrink to it
    (their long side to 4 store_px at most). With `show_progress` the survey is printed before they are decoded. Raises
    TwofoldError where there are no images or more of them than `recipe.max_unreadable_fraction` cannot be read.
    """
    folder = cache_folder(cache)
    source = open_source(data, cache=folder, allow_outside=allow_outside, columns=columns_of(recipe))
    source = divided(source, recipe, folder, show_progress=show_progress)
    facts = look_at(source)
    before, records, assigned = survey_of(source, recipe, facts=facts)
    for line in before.lines() if show_progress else ():
        say(line)
    opened = _open if recipe.decode == "once" else _open_each_time
    rules, store = opened(source, Rules.of(recipe, store_px), folder, show_progress)
    quarantine = [Quarantined(source.records[i].path, reason) for i, reason in sorted(store.unreadable.items())]
    _require_readable(source, quarantine, recipe.max_unreadable_fraction)
    survey = replace(before, unreadable=0)
    if quarantine:
        rows = store.records.tolist()
        survey, records, assigned = survey_of(source, recipe, facts=facts, readable=rows, quarantine=quarantine)
    survey = replace(survey, findings=(*survey.findings, *store.facts.findings(rules.range)), pixels=store.facts)
    for line in survey.said_since(before) if show_progress else ():
        say(f"  {line}")
    return ImageSet(
        name=source.name,
        channels=recipe.channels,
        fingerprint=_fingerprint(store, assigned.splits),
        paths=records.paths,
        labels=records.labels,
        splits=assigned.splits,
        quarantine=quarantine,
        findings=list(survey.findings),
        pixels=store.pixels,
        test_from=assigned.test_from,
        groups=list(records.groups) if any(records.groups) else [],
        survey=survey,
        range=rules.range,
    )


def columns_of(recipe: DataRecipe) -> Columns:
    """The columns of a table that the recipe names."""
    return Columns(
        path=recipe.path_column, label=recipe.label_column, split=recipe.split_column, group=recipe.group_column
    )


def _open(source: Source, rules: Rules, cache: Path, show_progress: bool) -> tuple[Rules, Store]:
    """The store, and the rules with the range that was measured, where there is an image of more than 8 bits."""
    stamp = source.stamp()
    if rules.range is None and rules.range_from == "data":
        rules = replace(rules, range=known_range(stamp, cache, rules))
    try:
        return rules, open_store(source, stamp, rules=rules, cache=cache, show_progress=show_progress)
    except RangeNeededError:
        measured = find_range(source, stamp, cache, rules)
        rules = replace(rules, range=measured, range_from="type" if measured is None else "data")
        return rules, open_store(source, stamp, rules=rules, cache=cache, show_progress=show_progress)


def _open_each_time(source: Source, rules: Rules, cache: Path, show_progress: bool) -> tuple[Rules, Store]:
    if show_progress:
        say("  images are decoded each time they are read, and not kept; those cut short are seen only then")
    return open_each_time(source, source.stamp(), rules=rules, cache=cache, show_progress=show_progress)


def _require_readable(source: Source, quarantine: Sequence[Quarantined], limit: float) -> None:
    broken = [one for one in quarantine if one.reason != NO_DATA]
    count, bad = len(source.records), len(broken)
    if len(quarantine) < count and bad <= limit * count:
        return
    examples = "; ".join(
        f"{one.path}: {one.reason}" for one in sorted(quarantine, key=lambda one: one.reason == NO_DATA)[:3]
    )
    if len(quarantine) == count:
        raise TwofoldError(
            f"none of the {count:,} files in '{source.name}' can be read as an image ({examples}). "
            "Give a folder with whole images."
        )
    raise TwofoldError(
        f"{bad:,} of {count:,} files in '{source.name}' ({bad / count:.1%}) cannot be read, more than the "
        f"{limit:.0%} allowed ({examples}). Fix or remove them, or raise --max-unreadable-fraction."
    )


def _fingerprint(store: Store, splits: Sequence[str]) -> str:
    return digest([store.name, list(splits)])
