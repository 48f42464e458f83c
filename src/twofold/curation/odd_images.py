"""Images that are blank, look cut off, or are unlike all others."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from twofold.curation.nearest import Neighbours

_FLAT = 2.0  # standard deviation of the pixels, of 255
_FILL = (118, 138)  # grey that decoders put where a file ends early
_FILLED = 0.15  # share of the height from which on that counts
_EVEN = 6  # of 255: what the numbers of a line of that grey may differ by
_AT_ONCE = 4096
_NEAREST = 10
_FENCES = 3.0  # interquartile ranges above the third quartile: Tukey's "far out"


@dataclass(frozen=True, eq=False)
class OffTopic:
    """How far each image is from its nearest ones, and from where on that is far."""

    distance: Float32[np.ndarray, " n"]  # 1 - mean cosine of the ten nearest, in [0, 2]
    threshold: float

    @property
    def rows(self) -> Int64[np.ndarray, " k"]:
        """The images beyond the threshold, the farthest first."""
        order = np.argsort(-self.distance, kind="stable")
        return order[self.distance[order] > self.threshold]

    def rethreshold(self, threshold: float) -> "OffTopic":
        """The same distances at another threshold."""
        return OffTopic(self.distance, threshold)

    def borderline(self, count: int = 20) -> Int64[np.ndarray, " k"]:
        """The rows nearest to the threshold, the farthest image first."""
        near = np.argsort(np.abs(self.distance - self.threshold), kind="stable")[:count]
        return near[np.argsort(-self.distance[near], kind="stable")]


def find_off_topic(near: Neighbours) -> OffTopic:
    """By k-NN distance: off topic is what lies 3 interquartile ranges above the third quartile of all distances.

    distance_i = 1 - mean over the 10 nearest j of cos(h_i, h_j)
    """
    cosines = np.asarray(near.cosines[:, :_NEAREST], np.float32)
    distance = 1 - cosines.mean(1) if cosines.shape[1] else np.zeros(len(cosines), np.float32)
    if len(distance) < 2:
        return OffTopic(distance, float("inf"))
    low, high = np.quantile(distance, [0.25, 0.75])
    return OffTopic(distance, float(high + _FENCES * (high - low)))


def find_blank(thumbs: UInt8[np.ndarray, "n s s 3"]) -> Int64[np.ndarray, " k"]:
    """Rows of images of one colour: a standard deviation below 2 of 255 in every channel."""
    return _rows_where(lambda some: (some.std((1, 2), dtype=np.float32) < _FLAT).all(1), thumbs)


def find_cut_off(thumbs: UInt8[np.ndarray, "n s s 3"]) -> Int64[np.ndarray, " k"]:
    """Rows of images whose lower part is the even grey that a decoder puts where a file ends, while the rest is not."""
    return _rows_where(_are_cut_off, thumbs)


def _rows_where(
    judge: Callable[[UInt8[np.ndarray, "m s s 3"]], Bool[np.ndarray, " m"]], thumbs: UInt8[np.ndarray, "n s s 3"]
) -> Int64[np.ndarray, " k"]:
    parts = [thumbs[start : start + _AT_ONCE] for start in range(0, len(thumbs), _AT_ONCE)]
    return np.flatnonzero(np.concatenate([np.zeros(0, bool), *(judge(part) for part in parts)]))


def _are_cut_off(thumbs: UInt8[np.ndarray, "m s s 3"]) -> Bool[np.ndarray, " m"]:
    lowest, highest = thumbs.min((2, 3)), thumbs.max((2, 3))  # of each line
    grey = (lowest >= _FILL[0]) & (highest <= _FILL[1]) & (highest - lowest <= _EVEN)
    height = thumbs.shape[1]
    filled = np.where(grey.all(1), height, grey[:, ::-1].argmin(1))
    return (filled >= _FILLED * height) & (filled < height)
