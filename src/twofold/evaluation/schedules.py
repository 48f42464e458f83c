"""How networks are trained on labels: steps, batch, learning rate. The paper's settings for each protocol."""

import math
from dataclasses import dataclass

from twofold.recipes.recipe import OptimRecipe

LEAST_STEPS = 400
_FEW = 1 / 30  # between the paper's 1 % and its 10 %
_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a protocol trains. `rates` are the learning rates at batch 256 to choose among, the paper's first."""

    rates: tuple[float, ...]
    weight_decay: float
    epochs_of_few: float  # passes over a small share of the labels
    epochs: float


TRAINING_SETTINGS = {
    "finetune": TrainingSettings(rates=(0.05, 0.0125, 0.2), weight_decay=0.0, epochs_of_few=60.0, epochs=30.0),
    "supervised": TrainingSettings(rates=(0.1, 0.025, 0.4), weight_decay=1e-4, epochs_of_few=60.0, epochs=30.0),
    "sgd": TrainingSettings(rates=(0.1,), weight_decay=0.0, epochs_of_few=90.0, epochs=90.0),
}


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How a network is trained: `steps` batches of `batch_size` images, the rate as `optim` says, cosine to 0."""

    steps: int
    batch_size: int
    optim: OptimRecipe


def make_schedule(
    settings: TrainingSettings, base_lr: float, *, labels: int, train: int, epochs: float | None = None
) -> Schedule:
    """Steps and batch for `labels` labelled images of `train`: SGD with Nesterov momentum 0.9, cosine, no warm-up.

    `epochs` replaces the paper's (60 with 1 % of the labels, 30 with 10 % and more; appendix B.5, reference 5.2). A
    batch holds a quarter of the labelled images, 16 to 256 of them, at a rate of base_lr sqrt(B / 256). At least 400
    steps, since a few dozen images would otherwise be shown a handful of times.
    """
    batch = min(labels, _BATCH, max(16, 2 ** int(math.log2(max(1, labels / 4)))))
    passes = epochs or (settings.epochs_of_few if labels <= _FEW * train else settings.epochs)
    steps = max(1 if epochs else LEAST_STEPS, round(passes * labels / batch))
    optim = OptimRecipe(
        optimizer="sgd",
        base_lr=base_lr / math.sqrt(_BATCH),
        lr_scaling="sqrt",
        momentum=0.9,
        weight_decay=settings.weight_decay,
        warmup_fraction=0.0,
    )
    return Schedule(steps=steps, batch_size=batch, optim=optim)
