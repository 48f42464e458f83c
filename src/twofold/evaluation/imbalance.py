"""What tells more than top-1 accuracy where classes differ in size.

Legend: m test images. A score is what is said of the positive class: the higher, the surer.
"""

import numpy as np
from jaxtyping import Bool, Float, Int64, Integer

from twofold.evaluation.predictions import per_class

SPECIFICITIES = (0.90, 0.95, 0.99)


def metrics_of_unequal(
    truth: Int64[np.ndarray, " m"],
    predicted: Int64[np.ndarray, " m"],
    confidence: Float[np.ndarray, " m"],
    train_ids: Int64[np.ndarray, " n"],
) -> dict[str, float]:
    """`two_class_metrics` for the rarer of two classes of train, where test has both; else `macro_f1`."""
    counts = np.bincount(train_ids)
    if len(counts) != 2 or len(np.unique(truth)) != 2:
        return {"macro_f1": macro_f1(truth, predicted)}
    rare, certain = int(counts.argmin()), confidence.astype(np.float64)
    return two_class_metrics(truth == rare, np.where(predicted == rare, certain, 1 - certain))


def mean_per_class(truth: Integer[np.ndarray, " n"], predicted: Integer[np.ndarray, " n"]) -> float:
    """Mean over the classes that occur in `truth` of the share of their rows that are right (balanced accuracy)."""
    shares = per_class(truth, predicted, int(truth.max()) + 1)
    return float(shares[~np.isnan(shares)].mean())


def macro_f1(truth: Integer[np.ndarray, " m"], predicted: Integer[np.ndarray, " m"]) -> float:
    """Mean over the classes of truth or predictions of 2 right / (images of it + predictions of it), in [0, 1]."""
    size = int(max(truth.max(), predicted.max())) + 1
    counts = np.bincount(truth, minlength=size) + np.bincount(predicted, minlength=size)
    right = np.bincount(truth[truth == predicted], minlength=size)
    return float((2 * right[counts > 0] / counts[counts > 0]).mean())


def two_class_metrics(positive: Bool[np.ndarray, " m"], scores: Float[np.ndarray, " m"]) -> dict[str, float]:
    """AUROC, average precision, and sensitivity at a specificity of 90, 95 and 99 %; each a fraction.

    `positive` says which images are of the positive class; both classes occur.
    """
    hits, alarms = _cumulative(positive, scores)
    sensitivity, false_rate = hits / hits[-1], alarms / alarms[-1]
    precision = hits / np.maximum(hits + alarms, 1)
    found = {
        "auroc": float((np.diff(false_rate) * (sensitivity[1:] + sensitivity[:-1]) / 2).sum()),
        "average_precision": float((np.diff(sensitivity) * precision[1:]).sum()),
    }
    for specificity in SPECIFICITIES:
        allowed = sensitivity[1 - false_rate >= specificity - 1e-12]
        found[f"sensitivity_{100 * specificity:.0f}"] = float(allowed.max())
    return found


def _cumulative(
    positive: Bool[np.ndarray, " m"], scores: Float[np.ndarray, " m"]
) -> tuple[Int64[np.ndarray, " t"], Int64[np.ndarray, " t"]]:
    """(hits, false alarms) at each threshold from above all scores to the lowest; equal scores fall together."""
    order = np.argsort(-scores, kind="stable")
    hits, alarms = (np.concatenate([[0], np.cumsum(kind[order])]).astype(np.int64) for kind in (positive, ~positive))
    ends = np.concatenate([[0], np.flatnonzero(np.diff(scores[order])) + 1, [len(scores)]])
    return hits[ends], alarms[ends]
