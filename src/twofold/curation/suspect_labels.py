"""Labels that may be wrong, by confident learning (Northcutt et al. 2021) on probabilities that no label judged itself.

A classifier that is often wrong itself contradicts many labels that are right. Then labels are ranked, not judged.

Legend: n labelled images, c classes; p (n, c) probabilities, y their labels.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, Integer

from twofold.evaluation import fit_linear, fit_scaling
from twofold.evaluation.calibration import softmax
from twofold.evaluation.labels import FOLDS, stratified_folds

_L2 = 1e-3
_ITERATIONS = 100
_FITTED = 100_000  # images that a fold's classifier is fitted to, at most, beside five of each class
LEAST_ACCURACY = 0.8  # of the classifier, from which on labels are judged
_MOST_OF_GUESSES = 0.5  # of the mistakes that always guessing the most frequent class makes
_RANKED = 100  # labels that are shown where none is judged


@dataclass(frozen=True, eq=False, kw_only=True)
class SuspectLabels:
    """Images whose label the others contradict, the worst first."""

    rows: Int64[np.ndarray, " k"]
    suggested: Int64[np.ndarray, " k"]  # the likeliest class
    margin: Float32[np.ndarray, " k"]  # p of the label less the highest p of another class, in [-1, 1]; lowest first
    ranking: Int64[np.ndarray, " n"]  # every labelled image, the least likely label first
    accuracy: float  # of the classifier on the folds left out, in [0, 1]
    most_frequent: float  # share of the most frequent class, in [0, 1]
    left_out: int = 0  # labelled images that are not judged, as no other group holds their class

    @property
    def judged(self) -> bool:
        """Whether `rows` is a verdict: accuracy >= 0.8, and at most half the mistakes of guessing one class.

        Otherwise `rows` are the (up to) 100 least likely labels, to be looked at.
        """
        return _is_good(self.accuracy, self.most_frequent)

    def sentence(self) -> str:
        """For people."""
        how_good = (
            f"a classifier of the embeddings gets {self.accuracy:.1%} of the labels of other folds (always guessing "
            f"the most frequent class: {self.most_frequent:.1%})"
        )
        out = (
            f" {self.left_out:,} images are left out: no other group (patient, file) holds their class."
            if self.left_out
            else ""
        )
        if not len(self.ranking):
            return f"No label was judged.{out}"
        if self.judged:
            return f"Labels were judged by the others: {how_good}.{out}"
        return (
            f"Labels were ranked, not judged: {how_good}, so it is often wrong where a label is right. At least "
            f"{LEAST_ACCURACY:.0%} and at most half the mistakes of guessing are needed for a verdict. Shown are the "
            f"{len(self.rows):,} least likely labels. Train longer for more.{out}"
        )

    def borderline(self, count: int = 20) -> Int64[np.ndarray, " k"]:
        """The first `count` rows of `ranking` that are not in `rows`: the next that one would look at."""
        return self.ranking[~np.isin(self.ranking, self.rows)][:count]


_NONE = np.zeros(0, np.int64)
NOTHING = SuspectLabels(
    rows=_NONE, suggested=_NONE, margin=np.zeros(0, np.float32), ranking=_NONE, accuracy=0.0, most_frequent=1.0
)


def find_suspect_labels(
    h: Float32[np.ndarray, "n d"],
    class_ids: Integer[np.ndarray, " n"],
    *,
    seed: int = 0,
    groups: Int64[np.ndarray, " n"] | None = None,
) -> SuspectLabels:
    """Suspects among the images with a label (class_ids >= 0). Each class needs five images; others are left out.

    An image of one of the `groups` is judged by those of others, as its own may have the same wrong label; where these
    hold none of its class, it is not judged.
    """
    rows = np.flatnonzero(class_ids >= 0).astype(np.int64)
    rows = rows[(np.bincount(class_ids[rows]) >= FOLDS)[class_ids[rows]]]
    names, y = np.unique(class_ids[rows], return_inverse=True)
    if len(names) < 2:
        return NOTHING
    own = None if groups is None else groups[rows]
    p = out_of_fold_probabilities(h if len(rows) == len(h) else h[rows], y, len(names), seed=seed, groups=own)
    known = p.any(1)
    left_out = int((~known).sum())
    rows, y, p = rows[known], y[known], p[known]
    if not len(rows):
        return replace(NOTHING, left_out=left_out)
    margin = label_margin(p, y)
    accuracy, most_frequent = float((p.argmax(1) == y).mean()), float(np.bincount(y).max() / len(y))
    suspect = is_suspect(p, y) if _is_good(accuracy, most_frequent) else margin < 0
    wrong = np.flatnonzero(suspect)
    wrong = wrong[np.argsort(margin[wrong], kind="stable")]
    if not _is_good(accuracy, most_frequent):
        wrong = wrong[:_RANKED]
    return SuspectLabels(
        rows=rows[wrong],
        suggested=names[p[wrong].argmax(1)].astype(np.int64),
        margin=margin[wrong],
        ranking=rows[np.argsort(margin, kind="stable")],
        accuracy=accuracy,
        most_frequent=most_frequent,
        left_out=left_out,
    )


def out_of_fold_probabilities(
    h: Float32[np.ndarray, "n d"],
    y: Integer[np.ndarray, " n"],
    classes: int,
    *,
    seed: int = 0,
    groups: Int64[np.ndarray, " n"] | None = None,
) -> Float64[np.ndarray, "n c"]:
    """p of each image from a linear classifier on h that was fitted to the other four folds.

    Each class is spread evenly over the folds, at random by `seed`; no fold divides one of the `groups`. Of more than
    100,000 images in these a random 100,000 are taken, and five of each class in any case. All 0 for an image whose
    class the other folds do not hold.
    """
    p, order = np.zeros((len(y), classes)), np.random.default_rng(seed).permutation(len(y))
    for kept, cut in stratified_folds(y[order], groups=None if groups is None else groups[order]):
        rest, own = order[kept[_enough(y[order[kept]])]], order[cut]
        scaling = fit_scaling(h[rest])
        probe = fit_linear(scaling(h[rest]), y[rest], classes, _L2, tolerance=1e-6, iterations=_ITERATIONS)
        p[own] = softmax(probe.logits(scaling(h[own]))) * np.isin(y[own], y[rest])[:, None]
    return p


def _enough(y: Integer[np.ndarray, " m"]) -> Bool[np.ndarray, " m"]:
    """The first 100,000, and the first five of each class."""
    order = np.argsort(y, kind="stable")
    _, starts = np.unique(y[order], return_index=True)
    enough = np.arange(len(y)) < _FITTED
    enough[order[(starts[:, None] + np.arange(FOLDS)).clip(max=len(y) - 1)]] = True
    return enough


def label_margin(p: Float64[np.ndarray, "n c"], y: Integer[np.ndarray, " n"]) -> Float32[np.ndarray, " n"]:
    """p_y - max over k != y of p_k, in [-1, 1]."""
    own = (np.arange(len(y)), y)
    others = p.copy()
    others[own] = -1
    return (p[own] - others.max(1)).astype(np.float32)


def is_suspect(p: Float64[np.ndarray, "n c"], y: Integer[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Off the diagonal of the confident joint: the likeliest class among those with p_k >= t_k is not y.

    t_k is the mean of p_k over the images labelled k.
    """
    thresholds = np.array([p[y == k, k].mean() if (y == k).any() else np.inf for k in range(p.shape[1])])
    confident = np.where(p >= thresholds - 1e-12, p, -1)
    return (confident.max(1) >= 0) & (confident.argmax(1) != y)


def _is_good(accuracy: float, most_frequent: float) -> bool:
    return accuracy >= LEAST_ACCURACY and 1 - accuracy <= _MOST_OF_GUESSES * (1 - most_frequent)
