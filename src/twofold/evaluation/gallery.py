"""A sample of the pictures with their place on a map and their nearest neighbours: gallery.npz for the report."""

import io
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, Integer
from sklearn.manifold import TSNE
from torch import nn

from twofold.data import ImageSet
from twofold.evaluation.embed import Hardware, embed_images
from twofold.evaluation.knn import neighbours
from twofold.evaluation.thumbs import THUMB_PX, build_thumbs
from twofold.files import write_atomically
from twofold.recipes.recipe import ViewsRecipe

QUERIES = 12
NEIGHBOURS = 8
_SEED = 0


def build_gallery(
    encoder: nn.Module, images: ImageSet, *, views: ViewsRecipe, hardware: Hardware, out: Path, limit: int = 1500
) -> None:
    """Write `out` (npz): thumbs, paths, labels, xy (t-SNE of h), queries, neighbours (cosine on h) and the split.

    A seeded sample of at most `limit` test pictures, or of train where there is no test split. Raises NotFiniteError
    for embeddings that are not finite.
    """
    split, rows = _sample(images, limit)
    h = embed_images(encoder, images, rows, views=views, hardware=hardware)
    queries = np.sort(np.random.default_rng(_SEED).permutation(len(rows))[:QUERIES])
    side_px = min(THUMB_PX, views.embedding_px)
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        thumbs=build_thumbs(images, rows, side_px=side_px, crop_fraction=views.eval_crop_fraction),
        paths=np.array([images.paths[row] for row in rows], dtype=np.str_),
        labels=np.array([images.labels[row] or "" for row in rows], dtype=np.str_),
        xy=_map(h),
        queries=queries,
        neighbours=_nearest(h, queries),
        split=np.array(split),
    )
    write_atomically(Path(out), stream.getvalue())


def _sample(images: ImageSet, limit: int) -> tuple[str, Integer[np.ndarray, " m"]]:
    split = "test" if len(images.rows("test")) else "train"
    rows = images.rows(split)
    return split, np.sort(np.random.default_rng(_SEED).permutation(rows)[:limit])


def _map(h: Float32[np.ndarray, "m d"]) -> Float32[np.ndarray, "m 2"]:
    """t-SNE in the plane from a start by PCA; too few pictures for that lie on their two principal components."""
    m = len(h)
    unit = h / np.maximum(np.linalg.norm(h, axis=1, keepdims=True), 1e-12)
    start = _principal(unit)
    spread = float(start[:, 0].std()) if m else 0.0
    if m < 10 or spread < 1e-7:  # collapsed embeddings have no map
        return start
    perplexity = min(30.0, (m - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init=start / spread * 1e-4, random_state=_SEED)
    return tsne.fit_transform(unit).astype(np.float32)


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
    kept = [[int(row) for row in found if row != query][:count] for query, found in zip(queries, rows, strict=True)]
    return np.array(kept, dtype=np.int64).reshape(len(queries), count)
