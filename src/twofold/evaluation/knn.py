"""k-NN: weighted nearest neighbours by cosine, what an embedding knows without fitting anything.

Legend: n rows with labels (the bank), m queries, d features, k neighbours.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64, Integer
from torch import Tensor, nn

from twofold.data import ImageSet
from twofold.evaluation.features import Features, Hardware, embed_images
from twofold.evaluation.labels import Labels, MeasuredRows, cut_selection, given_places
from twofold.evaluation.predictions import Predictions, rank_classes, top1
from twofold.models.finite import require_finite
from twofold.recipes.recipe import Recipe

BLOCK = 1024  # queries at a time: bounds the memory at BLOCK * n numbers
_MONITOR_BANK = 2000
_MONITOR_QUERIES = 1000


def knn(
    bank: Float[Tensor, "n d"],
    labels: Integer[Tensor, " n"],
    queries: Float[Tensor, "m d"],
    *,
    k: int = 20,
    temperature: float = 0.1,
) -> Int64[Tensor, " m"]:
    """The class of each query by a vote of its k nearest rows of `bank` (Wu et al. 2018, section 3.4).

    Each neighbour votes for its label with the weight exp((cosine - 1) / temperature); the class with most votes is
    returned, of equals the lower one. `labels` are at least 0; `k` above n means all rows. The result is on the CPU.
    Raises NotFiniteError for numbers that are not finite.

    >>> bank = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    >>> knn(bank, torch.tensor([0, 0, 1]), torch.tensor([[2.0, 0.1], [0.1, 3.0]]), k=1)
    tensor([0, 1])
    """
    h, asked = (part.detach().float().cpu().numpy() for part in (bank, queries))
    ids = labels.detach().cpu().numpy()
    votes = knn_votes(asked, h, ids, classes=int(ids.max()) + 1, k=k, temperature=temperature)
    return torch.from_numpy(votes.argmax(1))


def knn_votes(
    queries: Float32[np.ndarray, "m d"],
    bank: Float32[np.ndarray, "n d"],
    labels: Integer[np.ndarray, " n"],
    *,
    classes: int,
    k: int,
    temperature: float = 0.1,
) -> Float64[np.ndarray, "m classes"]:
    """The votes of `knn` for each class."""
    similarity, rows = neighbours(queries, bank, min(k, len(bank)))
    weights = np.exp((similarity.astype(np.float64) - 1.0) / temperature)  # minus 1: no vote above exp(0)
    votes = np.zeros((len(queries), classes))
    np.add.at(votes, (np.arange(len(queries))[:, None], labels[rows]), weights)
    return votes


def neighbours(
    queries: Float32[np.ndarray, "m d"], bank: Float32[np.ndarray, "n d"], count: int
) -> tuple[Float32[np.ndarray, "m k"], Int64[np.ndarray, "m k"]]:
    """The `count` rows of `bank` nearest to each query: (cosines in [-1, 1], row numbers), nearest first."""
    a, b = unit(queries), unit(bank)
    nearest = [torch.topk(block @ b.T, count, dim=1) for block in torch.split(a, BLOCK)]
    similarity = torch.cat([top.values for top in nearest]) if nearest else torch.zeros(0, count)
    rows = torch.cat([top.indices for top in nearest]) if nearest else torch.zeros(0, count, dtype=torch.int64)
    return similarity.numpy(), rows.numpy()


def unit(x: Float32[np.ndarray, "n d"]) -> Float32[Tensor, "n d"]:
    """Each row divided by its length; a row of zeros stays. Raises NotFiniteError for numbers that are not finite."""
    require_finite(x)
    return torch.nn.functional.normalize(torch.from_numpy(x), dim=1)


def neighbour_count(labels: int, classes: int) -> int:
    """k = min(20, labels per class), at least 1."""
    return max(1, min(20, labels // classes))


def predict_by_knn(
    features: Features,
    rows: MeasuredRows,
    draws: Sequence[tuple[int, Labels]],
    *,
    encoder: str,
    weights: int | None,
) -> list[Predictions]:
    """Predictions for test with the labels of each draw (seed, budget)."""
    classes, predictions = len(rows.classes), []
    for seed, labels in draws:
        own = given_places(rows.train_ids, labels, seed, rows.groups)
        k = min(20, labels) if isinstance(labels, int) else neighbour_count(len(own), classes)
        votes = knn_votes(features.test, features.train[own], rows.train_ids[own], classes=classes, k=k)
        predictions.append(
            Predictions(
                protocol="knn",
                encoder=encoder,
                labels=labels,
                seed=seed,
                ranked=rank_classes(votes),
                confidence=(votes.max(1) / votes.sum(1)).astype(np.float32),
                weights=weights,
            )
        )
    return predictions


def build_knn_monitor(
    images: ImageSet, recipe: Recipe, hardware: Hardware
) -> Callable[[nn.Module, int], dict[str, float]] | None:
    """A function (encoder, step) -> {"knn_top1": fraction in [0, 1]}, or None for data without labels.

    At most 1,000 images of the selection split, which is cut from train, find their class among at most 2,000 of
    the rest of train. Test images are never read. The function raises NotFiniteError for embeddings that are not.
    """
    if not images.is_labelled:
        return None
    train = images.labelled_rows("train")
    kept, cut = cut_selection(images, train, recipe.data.selection_fraction, recipe.data.data_seed)
    if len(kept) == 0 or len(cut) == 0:
        return None
    draw = np.random.default_rng(recipe.data.data_seed)
    bank = train[np.sort(draw.permutation(kept)[:_MONITOR_BANK])]
    queries = train[np.sort(draw.permutation(cut)[:_MONITOR_QUERIES])]
    k, ids = neighbour_count(len(bank), len(images.classes)), torch.from_numpy(images.class_ids)

    def knn_monitor(encoder: nn.Module, step: int) -> dict[str, float]:  # noqa: ARG001
        h, asked = (
            torch.from_numpy(embed_images(encoder, images, rows, views=recipe.views, hardware=hardware))
            for rows in (bank, queries)
        )
        return {"knn_top1": top1(images.class_ids[queries], knn(h, ids[bank], asked, k=k).numpy())}

    return knn_monitor
