"""How fast this machine is at the parts of an evaluation: for the time that is announced before it begins."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np

from twofold.evaluation.features import Subject, embed_images
from twofold.evaluation.logistic_regression import fit_linear
from twofold.evaluation.scope import Scope

_TRIALS = 3
_IMAGES, _PART = 128, 16  # that are tried, and in batches of how many
_TRAINING = 3.0  # forward and backward pass together, in forward passes
_PRODUCTS_A_FIT = 30  # of L-BFGS, warm starts included, in the trials that the guess was fitted to


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast this machine is at the parts of an evaluation, in seconds: for the time that is announced."""

    call_s: float  # of the encoder on a batch, whatever its size
    image_s: float  # and what each image adds to it
    product_s: float  # one number of x through the probe's loss and gradient
    dim: int  # of h

    def embedding_s(self, images: int) -> float:
        """Embedding so many images in batches of 512."""
        return images * self.image_s + (images // 512 + 1) * self.call_s

    def training_s(self, steps: int, batch_size: int, *, frozen: bool) -> float:
        """Training a network; a frozen encoder has no backward pass."""
        return steps * (self.call_s + batch_size * self.image_s) * (1.0 if frozen else _TRAINING)

    def fits_s(self, labels: int | float, dim: int, fits: int) -> float:
        """So many fits of the linear probe on `labels` labelled images with `dim` features."""
        return fits * _PRODUCTS_A_FIT * labels * dim * self.product_s


def measure_speed(subject: Subject, scope: Scope) -> Speed:
    """Embed a hundred images in small batches and in one, fit one small probe: medians of a few trials.

    The difference of the two is what the calls of the encoder take by themselves.
    """
    rows, count = scope.rows, min(_IMAGES, len(scope.rows.train))

    def embed(batch_size: int) -> np.ndarray:
        asked, views = rows.train[:count], subject.views
        return embed_images(
            subject.encoder, scope.images, asked, views=views, hardware=subject.hardware, batch_size=batch_size
        )

    h = embed(count)  # warms up
    parts_s, whole_s = _median_s(partial(embed, _PART)), _median_s(partial(embed, count))
    call_s = max(0.0, parts_s - whole_s) / max(1, math.ceil(count / _PART) - 1)
    x, y = np.tile(h, (16, 1)).astype(np.float32), np.tile(rows.train_ids[:count], 16)
    fit = partial(fit_linear, x, y, len(rows.classes), 1e-2, iterations=5)
    return Speed(
        call_s=call_s,
        image_s=max(0.0, whole_s - call_s) / count,
        product_s=_median_s(fit) / (5 * x.size),
        dim=h.shape[1],
    )


def _median_s(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(_TRIALS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return median(taken)
