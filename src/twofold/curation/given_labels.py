"""Which of the images have a label that may be learnt from: those of a table, or those of the train split."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from twofold.console import say
from twofold.curation.embedded import Embedded
from twofold.curation.tables import read_labels
from twofold.errors import TwofoldError


@dataclass(frozen=True, eq=False)
class GivenLabels:
    """The rows of n images that have a label, in order, and the numbers of their classes."""

    rows: Int64[np.ndarray, " n"]
    ids: Int64[np.ndarray, " n"]
    classes: list[str]

    @property
    def counts(self) -> Int64[np.ndarray, " k"]:
        """Labels of each class."""
        return np.bincount(self.ids, minlength=len(self.classes))

    @property
    def key(self) -> str:
        """32 hex digits of what they say."""
        parts = [self.rows.tobytes(), self.ids.tobytes(), "\n".join(self.classes).encode()]
        return blake2b(b"".join(parts), digest_size=16).hexdigest()


def given_labels(embedded: Embedded, table: Path | None, name: str) -> GivenLabels:
    """Those of a CSV file with the columns path and label; without one, those of the train split of the data `name`.

    Raises TwofoldError as `read_labels` does, and where no image has a label.
    """
    if table is not None:
        return number_labels(read_labels(table, embedded.paths, "--labels"), str(table))
    pairs = zip(embedded.labels, embedded.splits, strict=True)
    return number_labels([label if split == "train" else None for label, split in pairs], name)


def number_labels(labels: Sequence[str | None], name: str) -> GivenLabels:
    """The same of labels by image (None: none), classes in alphabetical order.

    A class with one label is left out, and said: one label cannot be learnt from and checked. Where then fewer than two
    classes are left, all stay. Raises TwofoldError for no label at all.
    """
    counts = Counter(label for label in labels if label is not None)
    if not counts:
        raise TwofoldError(f"'{name}' has no label for any image. Give a file or a folder with labels as --labels.")
    classes = sorted(label for label, count in counts.items() if count > 1)
    if len(classes) < 2:
        classes = sorted(counts)
    elif single := sorted(label for label, count in counts.items() if count == 1):
        say(
            f"  left out, as there is one label each: {', '.join(map(repr, single))}. No image will be given such a "
            "label; two of a class are the least"
        )
    places: dict[str | None, int] = {label: place for place, label in enumerate(classes)}
    rows = np.array([row for row, label in enumerate(labels) if label in places], np.int64)
    return GivenLabels(rows, np.array([places[labels[row]] for row in rows], np.int64), classes)
