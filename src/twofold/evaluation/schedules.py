"""How networks are trained on labels: steps, batch, learning rate. The paper's settings, and what may be chosen."""

import math
from dataclasses import dataclass, replace
from typing import Any

from twofold.recipes.recipe import OptimRecipe

LEAST_STEPS = 400
SCHEDULES = ("tuned", "paper")
STATISTICS = {"pretrained": "as pretrained", "batch": "of each batch"}  # of batch norm, while a network is trained
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
class Training:
    """What is chosen of a network's training.

    `base_lr`: the learning rate at batch 256. `epochs`: None for the paper's. `statistics`: what batch norm takes while
    training, "batch" (the images' own) or "pretrained" (those that the encoder came with). `layer_decay`: the rate of a
    layer by that of the next one, in (0, 1]. `taken`: the share of the steps after which training stops, in [0, 1]; at
    0 there is none, and the network is the linear probe on the pretrained encoder. `edges` name what was best at the
    end of what was tried.
    """

    base_lr: float
    weight_decay: float = 0.0
    epochs: float | None = None
    statistics: str = "batch"
    layer_decay: float = 1.0
    taken: float = 1.0
    edges: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Training":
        """From plain values, as JSON keeps them."""
        return cls(**{**values, "edges": tuple(values["edges"])})


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How a network is trained: `steps` batches of `batch_size` images, the rate as `optim` says, cosine to 0.

    It stops after the first `stop` of them, if that is given. `statistics` and `layer_decay` are those of a `Training`.
    """

    steps: int
    batch_size: int
    optim: OptimRecipe
    stop: int | None = None
    statistics: str = "batch"
    layer_decay: float = 1.0

    @property
    def taken(self) -> int:
        """The steps that are taken."""
        return self.steps if self.stop is None else self.stop


def make_schedule(
    settings: TrainingSettings,
    base_lr: float,
    *,
    labels: int,
    train: int,
    epochs: float | None = None,
    least_steps: int | None = None,
) -> Schedule:
    """Steps and batch for `labels` labelled images of `train`: SGD with Nesterov momentum 0.9, cosine, no warm-up.

    `epochs` replaces the paper's (60 with 1 % of the labels, 30 with 10 % and more; appendix B.5, reference 5.2). A
    batch holds a quarter of the labelled images, 16 to 256 of them, at a rate of base_lr sqrt(B / 256). At least 400
    steps (`least_steps`; 1 where `epochs` is given), since a few dozen images would otherwise be shown a handful of
    times.
    """
    batch = min(labels, _BATCH, max(16, 2 ** int(math.log2(max(1, labels / 4)))))
    passes = epochs or (settings.epochs_of_few if labels <= _FEW * train else settings.epochs)
    least = least_steps or (1 if epochs else LEAST_STEPS)
    steps = max(least, round(passes * labels / batch))
    optim = OptimRecipe(
        optimizer="sgd",
        base_lr=base_lr / math.sqrt(_BATCH),
        lr_scaling="sqrt",
        momentum=0.9,
        weight_decay=settings.weight_decay,
        warmup_fraction=0.0,
    )
    return Schedule(steps=steps, batch_size=batch, optim=optim)


def chosen_schedule(
    settings: TrainingSettings,
    training: Training,
    *,
    labels: int,
    train: int,
    epochs: float | None = None,
    share: float = 1.0,
) -> Schedule:
    """`make_schedule` for what was chosen, `share` of its steps (for a quick trial). `epochs`, if given, rule."""
    schedule = make_schedule(
        replace(settings, weight_decay=training.weight_decay),
        training.base_lr,
        labels=labels,
        train=train,
        epochs=epochs or training.epochs,
        least_steps=None if epochs else LEAST_STEPS,
    )
    steps = max(1, round(share * schedule.steps))
    return replace(
        schedule,
        steps=steps,
        stop=max(1, round(training.taken * steps)),
        statistics=training.statistics,
        layer_decay=training.layer_decay,
    )
