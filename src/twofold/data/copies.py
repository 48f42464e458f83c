"""Known copies of one image, and batches in which no two of them stand: there they would be negatives of each other."""

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Int64

from twofold.data.duplicates import pixel_digests
from twofold.data.image_set import ImageSet
from twofold.data.splits import permutation
from twofold.errors import TwofoldError

TOGETHER, APART = "together", "apart"


@dataclass(frozen=True, eq=False)
class Copies:
    """The group of each of n images that is a copy of others among them; -1 for the rest."""

    name: ClassVar[str] = "copies"
    groups: Int64[np.ndarray, " n"]

    @cached_property
    def sizes(self) -> Int64[np.ndarray, " g"]:
        """Images of each group."""
        return np.bincount(self.groups[self.groups >= 0])

    @cached_property
    def digest(self) -> str:
        """32 hex digits of who is a copy of whom."""
        return hashlib.blake2b(self.groups.tobytes(), digest_size=16).hexdigest()

    def sentence(self) -> str:
        """For people."""
        return f"{int(self.sizes.sum()):,} images in {len(self.sizes):,} groups, never two of one group in a batch"

    def order(self, batch_size: int, *key: int) -> Int64[np.ndarray, " n"]:
        """`apart`."""
        return apart(self, batch_size, *key)

    def require_batches(self, batch_size: int) -> None:
        """Raises TwofoldError where an epoch has fewer batches than a group has images."""
        batches, most = len(self.groups) // batch_size, int(self.sizes.max(initial=0))
        if most > batches:
            raise TwofoldError(
                f"duplicates is apart, but an image has {most:,} copies and an epoch only {batches:,} batches of "
                f"{batch_size:,}. Choose --batch-size {max(2, len(self.groups) // most):,} or less, or remove copies."
            )


def known_copies(images: ImageSet, rows: Int64[np.ndarray, " n"], duplicates: str) -> Copies | None:
    """The copies among `rows`: None for "together"; for "apart" those with equal pixels.

    `duplicates` may also be a findings.csv of `twofold clean`, whose copies then count too. Raises TwofoldError where
    that cannot be read, is something else, or names no image of the data.
    """
    if duplicates == TOGETHER:
        return None
    pairs: list[tuple[str, str]] = []
    first: dict[bytes, str] = {}
    for row, digest in zip(rows.tolist(), pixel_digests(images, rows), strict=True):
        pairs.append((first.setdefault(digest, images.paths[row]), images.paths[row]))
    if duplicates != APART:
        pairs += _copies_of(Path(duplicates), set(images.paths))
    return Copies(_numbers(_joined(pairs), [images.paths[row] for row in rows.tolist()]))


def apart(copies: Copies, batch_size: int, *key: int) -> Int64[np.ndarray, " n"]:
    """An order of 0 ... n - 1, a function of the numbers in `key`, whose batches hold no two of one group.

    The images of a group, the largest first, go to as many batches: those with most places left, in a random order.
    All others fill what is left, in a random order. What is behind the last whole batch may hold copies.
    """
    n = len(copies.groups)
    order, batches = permutation(n, *key), n // batch_size
    line = permutation(batches, *key, 1)
    free = np.full(batches, batch_size)
    batch_of = np.full(n, -1)
    sorted_groups = np.argsort(copies.groups[order], kind="stable")
    starts = np.searchsorted(copies.groups[order][sorted_groups], np.arange(len(copies.sizes) + 1))
    for group in np.argsort(-copies.sizes, kind="stable").tolist():
        members = order[sorted_groups[starts[group] : starts[group + 1]]]
        chosen = line[np.argsort(-free[line], kind="stable")[: len(members)]]
        chosen = chosen[free[chosen] > 0]
        batch_of[members[: len(chosen)]] = chosen  # any others go behind the last batch
        batch_of[members[len(chosen) :]] = batches
        free[chosen] -= 1
    single = order[batch_of[order] < 0]
    batch_of[single] = np.append(np.repeat(np.arange(batches), free), np.full(n, batches))[: len(single)]
    return order[np.argsort(batch_of[order], kind="stable")]


def _copies_of(table: Path, known: set[str]) -> list[tuple[str, str]]:
    try:
        with table.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as stream:
            lines = csv.DictReader(stream)
            if missing := {"kind", "path", "other"} - set(lines.fieldnames or ()):
                raise TwofoldError(
                    f"'{table}' has no column {' and no column '.join(sorted(missing))}; duplicates must be together, "
                    "apart or the findings.csv of 'twofold clean'. Change --duplicates."
                )
            pairs = [(line["path"], line["other"]) for line in lines if line["kind"] == "copy"]
    except (OSError, csv.Error) as error:
        raise TwofoldError(
            f"duplicates is '{table}', which cannot be read ({error}); it must be together, apart or the findings.csv "
            "of 'twofold clean'. Change --duplicates."
        ) from error
    if pairs and not any(path in known for pair in pairs for path in pair):
        raise TwofoldError(f"'{table}' names no image of the data. Give the findings of these: change --duplicates.")
    return pairs


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A common name for all that pairs connect."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for a, b in pairs:
        first, second = sorted((root(a), root(b)))
        parent[second] = first
    return {name: root(name) for name in list(parent)}


def _numbers(names: dict[str, str], paths: list[str]) -> Int64[np.ndarray, " n"]:
    """Of each path the number of its name; -1 where no other path has it."""
    _, ids, counts = np.unique([names[path] for path in paths], return_inverse=True, return_counts=True)
    several = counts > 1
    return np.where(several, np.cumsum(several) - 1, -1)[ids].astype(np.int64)
