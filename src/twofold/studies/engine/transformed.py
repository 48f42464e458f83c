"""Which transformation was applied to a view: told from h and from z by a small network (paper, table 3)."""

import warnings

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from torch import nn

from twofold.data import ImageSet
from twofold.data.splits import permutation
from twofold.evaluation import fit_scaling
from twofold.recipes.recipe import Op
from twofold.runs.encoder_file import Loaded
from twofold.studies.engine.layers import head_features
from twofold.views import one_view, sample_rows

TRANSFORMATIONS = {  # what is told apart, with the paper's chances: 80, 25, 50 and 50 %
    "colour or grey": Op(name="grayscale", prob=0.2),
    "rotation": Op(name="rotate", range=(0.0, 3.0)),
    "noise": Op(name="noise", prob=0.5, range=(0.05, 0.2)),
    "Sobel": Op(name="sobel", prob=0.5),
}
MOST = 6000
_ASKED_SHARE = 1 / 3
_BATCH = 256
_EPOCHS = 40


def tell_transformation(
    name: str, loaded: Loaded, head: nn.Sequential, images: ImageSet, rows: Int64[np.ndarray, " n"], *, seed: int
) -> dict[str, Bool[np.ndarray, " m"]]:
    """Of which views the transformation is told right: {"told from h": ..., "told from z": ...}.

    At most 6,000 images of `rows`, whose labels are not used; a third of them is asked. The network has one hidden
    layer as wide as h.
    """
    chosen = rows[permutation(len(rows), seed)[:MOST]]
    h, applied = _views(TRANSFORMATIONS[name], loaded, images, chosen, seed)
    features = {"h": h} | head_features(head, h)
    asked = round(_ASKED_SHARE * len(chosen))
    asked_of = {"h": h, "z": features.get("z", h)}
    return {f"told from {layer}": _told(x, applied, asked, seed) for layer, x in asked_of.items()}


def _views(
    op: Op, loaded: Loaded, images: ImageSet, rows: Int64[np.ndarray, " n"], seed: int
) -> tuple[Float32[np.ndarray, "n d"], Int64[np.ndarray, " n"]]:
    """h of a central view of each image with the op applied by its probability, and how it was."""
    views, found, applied = loaded.recipe.views, [], []
    for step, start in enumerate(range(0, len(rows), _BATCH)):
        batch = images.read(rows[start : start + _BATCH])
        draws = sample_rows((op,), len(batch.images), seed=seed, step=step)
        x = one_view(
            batch.images.to(loaded.hardware.device),
            batch.sizes,
            draws,
            size_px=views.embedding_px,
            interpolation=views.interpolation,
        )
        with torch.inference_mode(), loaded.hardware.autocast():
            found.append(loaded.encoder(x.contiguous(memory_format=torch.channels_last)).float().cpu().numpy())
        applied.append((draws[0].values[:, 0] if op.name == "rotate" else draws[0].active).long().numpy())
    return np.concatenate(found), np.concatenate(applied)


def _told(
    x: Float32[np.ndarray, "n d"], applied: Int64[np.ndarray, " n"], asked: int, seed: int
) -> Bool[np.ndarray, " m"]:
    scaling = fit_scaling(x[asked:])
    network = MLPClassifier(hidden_layer_sizes=(x.shape[1],), max_iter=_EPOCHS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a fixed number of epochs, the same for all layers
        network.fit(scaling(x[asked:]), applied[asked:])
    right: Bool[np.ndarray, " m"] = applied[:asked] == network.predict(scaling(x[:asked]))
    return right
