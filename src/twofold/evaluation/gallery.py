"""Images for the report: a map and nearest neighbours in gallery.npz, mistakes and look-alikes of an evaluation."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64, Integer, UInt8
from torch import Tensor, nn

from twofold.data import ImageSet
from twofold.data.rgb import to_rgb
from twofold.evaluation.features import Hardware, embed_images
from twofold.evaluation.knn import BLOCK, neighbours, unit
from twofold.files import write_atomically
from twofold.recipes.recipe import ViewsRecipe
from twofold.views import center_view

QUERIES = 12
NEIGHBOURS = 8
MISTAKES = 24
PAIRS = 12
THUMB_PX = 64
MOST_SEARCHED = 50_000
_THUMBS_AT_ONCE = 256
_SEED = 0


def build_gallery(
    encoder: nn.Module,
    images: ImageSet,
    *,
    views: ViewsRecipe,
    hardware: Hardware,
    out: Path,
    limit: int = 1500,
    most: int = MOST_SEARCHED,
) -> None:
    """Write `out` (npz): thumbs, paths, labels, xy (t-SNE of h), queries, neighbours (cosine on h) and the split.

    The map shows a seeded sample of at most `limit` test images, or of train where there is no test split; queries are
    some of these. Their neighbours are the nearest of all images of all splits; where these are more than `most`, of
    the sample and as many others, by chance, as make `most`. `searched`, `images` and `split_images` count what was
    searched, the data set and the split. Thumbs, paths and labels are of the sample and, after it, of the neighbours
    outside of it. Raises NotFiniteError for embeddings that are not finite.
    """
    split, shown = _sample(images, limit)
    searched = _searched(len(images), shown, most)
    h = embed_images(encoder, images, searched, views=views, hardware=hardware)
    queries = np.sort(np.random.default_rng(_SEED).permutation(len(shown))[:QUERIES])
    nearest = searched[_nearest(h, np.searchsorted(searched, shown[queries]))]
    rows = np.concatenate([shown, np.setdiff1d(nearest, shown)])
    place = {int(row): number for number, row in enumerate(rows)}
    side_px = min(THUMB_PX, views.embedding_px)
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        thumbs=build_thumbs(images, rows, side_px=side_px, crop_fraction=views.eval_crop_fraction),
        paths=np.array([images.paths[row] for row in rows], dtype=np.str_),
        labels=np.array([images.labels[row] or "" for row in rows], dtype=np.str_),
        xy=_map(h[np.searchsorted(searched, shown)]),
        queries=queries,
        neighbours=np.array([place[int(row)] for row in nearest.ravel()], np.int64).reshape(nearest.shape),
        split=np.array(split),
        searched=np.array(len(searched)),
        images=np.array(len(images)),
        split_images=np.array(len(images.rows(split))),
    )
    write_atomically(Path(out), stream.getvalue())


def build_evaluation_images(
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
    """Write `out` (npz) about the test images in `rows`, whole or not at all.

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
    """(places, cosines in [-1, 1]) of the most similar pairs of different classes, each image in at most one.

    The nearest pair, then the nearest of the images that are left, and so on. Memory is bounded by 1024 m numbers.
    """
    similarity, others = _nearest_of_other_classes(embeddings, truth, 2 * most - 1)  # all but one may be taken already
    first = np.broadcast_to(np.arange(len(truth))[:, None], others.shape)
    real = np.isfinite(similarity)
    cosines = similarity[real]
    low, high = np.minimum(first, others)[real], np.maximum(first, others)[real]
    pairs: list[tuple[int, int]] = []
    chosen: list[float] = []
    taken: set[int] = set()
    for place in np.lexsort((high, low, -cosines)):
        pair = (int(low[place]), int(high[place]))
        if len(pairs) == most:
            break
        if taken.isdisjoint(pair):
            taken.update(pair)
            pairs.append(pair)
            chosen.append(float(cosines[place]))
    return np.array(pairs, np.int64).reshape(-1, 2), np.array(chosen, np.float32).clip(-1, 1)


def build_thumbs(
    images: ImageSet, rows: Integer[np.ndarray, " m"], *, side_px: int, crop_fraction: float
) -> UInt8[np.ndarray, "m {side_px} {side_px} 3"]:
    """The central square of each row's image, `crop_fraction` in (0, 1] of its short side; three channels (`to_rgb`).

    Memory holds 256 images at a time.
    """
    thumbs = np.zeros((len(rows), side_px, side_px, 3), np.uint8)
    for first in range(0, len(rows), _THUMBS_AT_ONCE):
        part = slice(first, first + _THUMBS_AT_ONCE)
        batch = images.read(rows[part])
        shown = center_view(batch.images, batch.sizes, size_px=side_px, crop_fraction=crop_fraction)
        thumbs[part] = to_rgb((shown * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy())
    return thumbs


def _sample(images: ImageSet, limit: int) -> tuple[str, Integer[np.ndarray, " m"]]:
    split = "test" if len(images.rows("test")) else "train"
    rows = images.rows(split)
    return split, np.sort(np.random.default_rng(_SEED).permutation(rows)[:limit])


def _searched(count: int, shown: Integer[np.ndarray, " m"], most: int) -> Integer[np.ndarray, " n"]:
    """The rows among which neighbours are looked for, in their order: all `count`, or those shown and others."""
    others = np.setdiff1d(np.arange(count), shown)
    if count > most:
        others = np.random.default_rng(_SEED).permutation(others)[: max(most - len(shown), 0)]
    return np.sort(np.concatenate([shown, others]))


def _map(h: Float32[np.ndarray, "m d"]) -> Float32[np.ndarray, "m 2"]:
    """t-SNE in the plane from a start by PCA; too few images for that lie on their two principal components."""
    m = len(h)
    x = unit(h).numpy()
    start = _principal(x)
    spread = float(start[:, 0].std()) if m else 0.0
    if m < 10 or spread < 1e-7:  # collapsed embeddings have no map
        return start
    from sklearn.manifold import TSNE  # takes longer to import than all else here

    perplexity = min(30.0, (m - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init=start / spread * 1e-4, random_state=_SEED)
    return tsne.fit_transform(x).astype(np.float32)


def _principal(x: Float32[np.ndarray, "m d"]) -> Float32[np.ndarray, "m 2"]:
    centred = (x - x.mean(0)).astype(np.float64) if len(x) else x.astype(np.float64)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    coordinates = np.zeros((len(x), 2))
    count = min(2, len(s))
    coordinates[:, :count] = u[:, :count] * s[:count]
    return coordinates.astype(np.float32)


def _nearest(h: Float32[np.ndarray, "m d"], queries: Int64[np.ndarray, " q"]) -> Int64[np.ndarray, "q k"]:
    count = min(NEIGHBOURS, max(len(h) - 1, 0))
    _, rows = neighbours(h[queries], h, min(count + 1, len(h)))
    kept = [[int(row) for row in near if row != query][:count] for query, near in zip(queries, rows, strict=True)]
    return np.array(kept, dtype=np.int64).reshape(len(queries), count)


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
