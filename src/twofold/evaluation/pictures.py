"""Where a classifier errs and where an embedding misleads: evaluation_pictures.npz for the report."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64, Integer, UInt8
from torch import Tensor

from twofold.data import ImageSet
from twofold.evaluation.knn import BLOCK, unit
from twofold.evaluation.thumbs import THUMB_PX, build_thumbs
from twofold.files import write_atomically

MISTAKES = 24
PAIRS = 12


def build_evaluation_pictures(
    images: ImageSet,
    rows: Integer[np.ndarray, " m"],
    truth: Integer[np.ndarray, " m"],
    predicted: Integer[np.ndarray, " m"],
    confidence: Float[np.ndarray, " m"],
    embeddings: Float32[np.ndarray, "m d"],
    classes: Sequence[str],
    *,
    out: Path,
) -> None:
    """Write `out` (npz) about the test pictures in `rows`, whole or not at all.

    `truth` and `predicted` number `classes`, `confidence` in [0, 1] is that of the prediction. The arrays mistake_*
    hold at most 24 wrong predictions, most confident first; pair_* at most 12 pairs of different classes, most
    similar first by the cosine of their embeddings.
    """
    wrong = most_confident_mistakes(truth, predicted, confidence)
    pairs, similarity = look_alikes(embeddings, truth)
    names = np.array(classes, dtype=np.str_)
    paths = np.array([images.paths[row] for row in rows], dtype=np.str_)
    thumbs = _thumbs(images, np.concatenate([rows[wrong], rows[pairs.ravel()]]))
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        mistake_thumbs=thumbs[: len(wrong)],
        mistake_paths=paths[wrong],
        mistake_truth=names[truth[wrong]],
        mistake_predicted=names[predicted[wrong]],
        mistake_confidence=confidence[wrong],
        pair_thumbs=thumbs[len(wrong) :].reshape(len(pairs), 2, *thumbs.shape[1:]),
        pair_paths=paths[pairs],
        pair_labels=names[truth[pairs]],
        pair_similarity=similarity,
    )
    write_atomically(Path(out), stream.getvalue())


def most_confident_mistakes(
    truth: Integer[np.ndarray, " m"],
    predicted: Integer[np.ndarray, " m"],
    confidence: Float[np.ndarray, " m"],
    most: int = MISTAKES,
) -> Int64[np.ndarray, " k"]:
    """Places of the wrong predictions, most confident first, equal ones in their order."""
    wrong = np.flatnonzero(truth != predicted)
    return wrong[np.argsort(-confidence[wrong], kind="stable")[:most]]


def look_alikes(
    embeddings: Float32[np.ndarray, "m d"], truth: Integer[np.ndarray, " m"], most: int = PAIRS
) -> tuple[Int64[np.ndarray, "p 2"], Float32[np.ndarray, " p"]]:
    """(places, cosines in [-1, 1]) of the most similar pairs of different classes, each picture in at most one.

    The nearest pair, then the nearest of the pictures that are left, and so on. Memory is bounded by 1024 m numbers.
    """
    similarity, others = _nearest_of_other_classes(embeddings, truth, 2 * most - 1)  # all but one may be taken already
    first = np.broadcast_to(np.arange(len(truth))[:, None], others.shape)
    real = np.isfinite(similarity)
    found = similarity[real]
    low, high = np.minimum(first, others)[real], np.maximum(first, others)[real]
    pairs: list[tuple[int, int]] = []
    cosines: list[float] = []
    taken: set[int] = set()
    for place in np.lexsort((high, low, -found)):
        pair = (int(low[place]), int(high[place]))
        if len(pairs) == most:
            break
        if taken.isdisjoint(pair):
            taken.update(pair)
            pairs.append(pair)
            cosines.append(float(found[place]))
    return np.array(pairs, np.int64).reshape(-1, 2), np.array(cosines, np.float32).clip(-1, 1)


def _nearest_of_other_classes(
    embeddings: Float32[np.ndarray, "m d"], truth: Integer[np.ndarray, " m"], count: int
) -> tuple[Float32[np.ndarray, "m k"], Int64[np.ndarray, "m k"]]:
    """Each row's nearest among the rows of other classes: (cosines, rows); where there are too few, the cosine -inf."""
    h, labels = unit(embeddings), torch.from_numpy(truth.astype(np.int64))
    count = min(count, len(h))
    similarity, others = torch.zeros(len(h), count), torch.zeros(len(h), count, dtype=torch.int64)
    for first in range(0, len(h), BLOCK):
        part = slice(first, first + BLOCK)
        same: Bool[Tensor, "b m"] = labels[part, None] == labels
        similarity[part], others[part] = torch.topk((h[part] @ h.T).masked_fill_(same, -torch.inf), count, dim=1)
    return similarity.numpy(), others.numpy()


def _thumbs(images: ImageSet, rows: Integer[np.ndarray, " k"]) -> UInt8[np.ndarray, "k t t 3"]:
    """The whole central squares, as large as the largest of them, 64 px at most."""
    short_px = int(images.pixels.sizes[rows].min(axis=1).max(initial=1)) if len(rows) else 1
    return build_thumbs(images, rows, side_px=min(THUMB_PX, short_px), crop_fraction=1.0)
