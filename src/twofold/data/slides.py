"""The order of an epoch where files are cut into tiles or pages: files first, then their parts; no large one rules."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Int64

from twofold.data.image_set import ImageSet
from twofold.data.record import file_of
from twofold.data.splits import permutation


@dataclass(frozen=True, eq=False)
class Slides:
    """Which of the files each of n tiles or pages is of, numbered from 0."""

    name: ClassVar[str] = "tiles"
    of_each: Int64[np.ndarray, " n"]

    @cached_property
    def sizes(self) -> Int64[np.ndarray, " s"]:
        """Tiles or pages of each file."""
        return np.bincount(self.of_each)

    @cached_property
    def digest(self) -> str:
        """32 hex digits of which tile is of which image."""
        return hashlib.blake2b(b"slides" + self.of_each.tobytes(), digest_size=16).hexdigest()

    def sentence(self) -> str:
        """For people."""
        most = int(self.sizes.max())
        return (
            f"{len(self.of_each):,} of {len(self.sizes):,} files, each drawn as often as another in an epoch, its "
            f"tiles or pages in turn; the largest has {most:,}"
        )

    def require_batches(self, batch_size: int) -> None:
        """Nothing: a batch holds tiles of one image only where there are fewer images than it has places."""

    def order(self, batch_size: int, *key: int) -> Int64[np.ndarray, " n"]:  # noqa: ARG002
        """n places of tiles, a function of the numbers in `key`: round by round every image once, in a random order.

        An image gives the next of its tiles in each round, in a random order of its own, and begins again where it has
        no more. So images of many tiles show some of them in an epoch, images of few show theirs several times.
        """
        n, images = len(self.of_each), len(self.sizes)
        mixed = permutation(n, *key)
        by_image = mixed[np.argsort(self.of_each[mixed], kind="stable")]  # the tiles of each image side by side
        starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        rounds = -(-n // images)
        turn = np.concatenate([permutation(images, *key, 1 + number) for number in range(rounds)])[:n]
        number = np.repeat(np.arange(rounds), images)[:n]
        order: Int64[np.ndarray, " n"] = by_image[starts[turn] + number % self.sizes[turn]]
        return order


def slides_of(images: ImageSet, rows: Int64[np.ndarray, " n"]) -> Slides | None:
    """The files that the tiles or pages in `rows` are of; None where none has two."""
    names = [file_of(images.paths[row]) for row in rows.tolist()]
    numbers = _numbers(names)
    return Slides(numbers) if len(numbers) and numbers.max() + 1 < len(numbers) else None


def _numbers(names: Sequence[str]) -> Int64[np.ndarray, " n"]:
    known: dict[str, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in names], np.int64)
