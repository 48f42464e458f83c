"""How good the representation is, watched while training: on pictures of train alone."""

from collections.abc import Callable

import numpy as np
from torch import nn

from twofold.data import ImageSet, cut_fraction
from twofold.evaluation.embed import Hardware, embed_images
from twofold.evaluation.knn import neighbour_count, predict_knn
from twofold.evaluation.metrics import top1
from twofold.recipes.recipe import Recipe

BANK = 2000
QUERIES = 1000


def build_knn_monitor(
    images: ImageSet, recipe: Recipe, hardware: Hardware
) -> Callable[[nn.Module, int], dict[str, float]] | None:
    """A function (encoder, step) -> {"knn_top1": fraction in [0, 1]}, or None for data without labels.

    At most 1,000 pictures of the selection split, which is cut from train, find their class among at most 2,000 of
    the rest of train. Test pictures are never read. The function raises NotFiniteError for embeddings that are not.
    """
    if not images.is_labelled:
        return None
    train = images.labelled_rows("train")
    names = [images.labels[row] or "" for row in train]
    paths = [images.paths[row] for row in train]
    kept, cut = cut_fraction(paths, recipe.data.selection_fraction, recipe.data.data_seed, labels=names)
    if len(kept) == 0 or len(cut) == 0:
        return None
    draw = np.random.default_rng(recipe.data.data_seed)
    bank = train[np.sort(draw.permutation(kept)[:BANK])]
    queries = train[np.sort(draw.permutation(cut)[:QUERIES])]
    classes = len(images.classes)

    def knn_monitor(encoder: nn.Module, step: int) -> dict[str, float]:  # noqa: ARG001
        x, wanted = (
            embed_images(encoder, images, rows, views=recipe.views, hardware=hardware) for rows in (bank, queries)
        )
        k = neighbour_count(len(bank), classes)
        predicted = predict_knn(wanted, x, images.class_ids[bank], classes=classes, k=k)
        return {"knn_top1": top1(images.class_ids[queries], predicted)}

    return knn_monitor
