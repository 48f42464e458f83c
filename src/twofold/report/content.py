"""What the report shows, as frozen dataclasses. Shares are fractions in [0, 1], counts are numbers of images."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from twofold.evaluation import scores
from twofold.evaluation.labels import Labels


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One row of evaluation.json or transfer.json; `low` and `high` are the 95 % interval, None where there is none.

    `over` says what the interval covers, older files "seeds": draws alone, not the test images. `best`: clearly above
    every other encoder on its line.
    """

    protocol: str
    encoder: str
    labels: Labels
    metric: str
    mean: float
    low: float | None
    high: float | None
    seeds: int
    data: str = ""  # the target of a transfer
    over: str = "seeds"
    best: bool = False

    @property
    def bounds(self) -> tuple[float, float]:
        """The interval, or the mean twice where there is none."""
        return (self.mean if self.low is None else self.low, self.mean if self.high is None else self.high)


@dataclass(frozen=True, kw_only=True)
class Difference(scores.Difference):
    """A paired difference as it is kept in JSON; older files do not say what the interval is over: seeds."""

    data: str = ""  # the target of a transfer
    over: str = "seeds"


@dataclass(frozen=True, kw_only=True)
class ClassShare:
    """The share of a class's `count` test images that is predicted correctly, with its interval where there is one."""

    name: str
    count: int
    share: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Details:
    """How the measurements came about: evaluation_details.json."""

    train: int
    test: int
    classes: list[str]
    confusion: list[list[int]]  # rows truth, columns predicted
    stated: list[str]
    labels_per_class: dict[str, float] = field(default_factory=dict)  # str(labels) -> mean over the classes
    differences: list[Difference] = field(default_factory=list)
    per_class: list[ClassShare] = field(default_factory=list)
    test_also_in_train: int = 0
    majority: dict[str, float] = field(default_factory=dict)  # what always predicting the most frequent class gets
    data: str = ""
    caveats: list[str] = field(default_factory=list)  # what is known to make the figures too high or too low
    cross_validated: bool = False  # every labelled image is a test image in turn
    main: tuple[str, Labels] = ("linear", "all")  # protocol and labels of confusion, classes and mistakes


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """A sample of s images with their place on the map, and m - s others, neighbours of some: gallery.npz."""

    thumbs: UInt8[np.ndarray, "m t t 3"]
    paths: list[str]
    labels: list[str]  # "" where unknown
    xy: Float[np.ndarray, "s 2"]
    queries: Int[np.ndarray, " q"]
    neighbours: Int[np.ndarray, "q k"]
    split: str
    searched: int  # images among which the neighbours are the nearest; 0 where an earlier version did not count
    images: int  # of the data set
    split_images: int  # of the split


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A test image whose class was predicted wrongly; `confidence` is the probability given to `predicted`."""

    thumb: UInt8[np.ndarray, "t t 3"]
    path: str
    truth: str
    predicted: str
    confidence: float


@dataclass(frozen=True, kw_only=True)
class LookAlikes:
    """Two images of different labels with similar embeddings; `similarity` is their cosine in [-1, 1]."""

    thumbs: UInt8[np.ndarray, "2 t t 3"]
    paths: list[str]
    labels: list[str]
    similarity: float


@dataclass(frozen=True, kw_only=True)
class Target:
    """Images that the encoder never trained on; `split` is "own", or "by seed" where it was cut off here."""

    data: str
    train: int
    test: int
    classes: int
    split: str
    test_also_in_train: int
    caveats: list[str] = field(default_factory=list)  # what is known to make the figures too high or too low


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """transfer.json and transfer_details.json."""

    measurements: list[Measurement] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    stated: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class KeptEvaluation:
    """An evaluation in RUN/evaluations other than the one that the report is about."""

    name: str  # of its folder
    measurements: list[Measurement]
    details: Details


@dataclass(frozen=True, kw_only=True)
class Use:
    """What a command that puts the encoder to use left in a folder of the run."""

    title: str
    page: str  # relative to the run
    said: list[str]


@dataclass(frozen=True, kw_only=True)
class RunContent:
    """Everything the report shows, as it lies in the run directory; what is missing there is empty or None here."""

    folder: Path
    record: dict[str, Any]  # recipe.json
    training: list[dict[str, Any]]  # metrics.jsonl: rows with a loss
    health: list[dict[str, Any]]  # metrics.jsonl: rows with the representation's measures
    quarantine: list[dict[str, str]]
    measurements: list[Measurement]
    details: Details | None
    views: bytes | None
    gallery: Gallery | None
    mistakes: list[Mistake]
    look_alikes: list[LookAlikes]
    transfer: Transfer
    kept: list[KeptEvaluation] = field(default_factory=list)  # the newest first
    uses: list[Use] = field(default_factory=list)
