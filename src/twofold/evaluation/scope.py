"""What is to be measured: protocols, budgets of labels, seeds, and the pictures they are measured on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from twofold.data import ImageSet, Shared, count_shared
from twofold.errors import require, require_choice
from twofold.evaluation.attempt import Labels
from twofold.evaluation.budgets import few_budgets, require_counts
from twofold.evaluation.labelled import Labelled, find_labelled, selection_folds
from twofold.evaluation.selection import L2_GRID, Fold
from twofold.evaluation.table import PROTOCOLS
from twofold.recipes.recipe import DataRecipe

TRAINED = ("finetune", "supervised", "sgd")  # protocols that train a network
PROTOCOL_NAMES = (*PROTOCOLS, "layers")  # layers: the linear probe on the layers of the head too


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a person asks for.

    `seeds`: draws with all labels, with a fraction of them, and of every network that is trained; `few_seeds`: draws
    of k-NN and linear probe with some `shots` per class. `fractions` holds 1 where networks are to be trained on all
    labels too. `start`: the layer that fine-tuning starts from. `epochs` replaces the paper's 60 and 30.
    """

    protocols: tuple[str, ...] = ("knn", "linear")
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    few_seeds: tuple[int, ...] = tuple(range(20))
    shots: tuple[int, ...] = (1, 5, 10, 50)
    fractions: tuple[float, ...] = ()
    start: str = "h"
    epochs: float | None = None
    grid: tuple[float, ...] = L2_GRID
    baselines: bool = True  # measure the untrained encoder and raw pixels

    def __post_init__(self) -> None:
        require(len(self.protocols) > 0, "protocol", self.protocols, "one or more")
        for protocol in self.protocols:
            require_choice("protocol", protocol, PROTOCOL_NAMES)
        require_counts(len(self.seeds), len(self.few_seeds), self.shots, self.fractions)
        finite = self.epochs is None or 0 < self.epochs < math.inf
        require(finite, "finetune_epochs", self.epochs, "above 0 and finite")

    @property
    def probes(self) -> tuple[str, ...]:
        """The protocols on fixed features."""
        return tuple(name for name in ("knn", "linear") if name in self.protocols or (name == "linear" and self.layers))

    @property
    def layers(self) -> bool:
        """Whether the head's layers are probed."""
        return "layers" in self.protocols

    @property
    def trained(self) -> tuple[str, ...]:
        """The protocols that train a network; beside fine-tuning always training from scratch, which is a baseline."""
        asked = {*self.protocols} | ({"supervised"} if "finetune" in self.protocols else set())
        return tuple(name for name in TRAINED if name in asked and (name != "supervised" or self.baselines))


@dataclass(frozen=True, kw_only=True)
class Scope:
    """`Settings` on given pictures: which budgets these allow, and the folds that choices are made on."""

    settings: Settings
    images: ImageSet
    labelled: Labelled
    few: list[Labels]
    folds: dict[int, list[Fold]] = field(repr=False)
    shared: Shared
    stated: list[str]

    @property
    def budgets(self) -> list[Labels]:
        """All labels first, then from few to many."""
        return ["all", *self.few]

    @property
    def network_budgets(self) -> list[Labels]:
        """Those that networks are trained on: all labels only where asked for, or where there is no other."""
        whole: list[Labels] = ["all"] if 1.0 in self.settings.fractions or not self.few else []
        return [*self.few, *whole]

    def seeds(self, labels: Labels) -> Sequence[int]:
        """The draws of k-NN and linear probe at a budget."""
        return self.settings.few_seeds if isinstance(labels, int) else self.settings.seeds


def find_scope(images: ImageSet, settings: Settings, data: DataRecipe) -> Scope:
    """Raises TwofoldError for data that cannot be measured on (`find_labelled`)."""
    labelled = find_labelled(images)
    few, left_out = few_budgets(labelled, settings.shots, settings.fractions)
    folds = {seed: selection_folds(images, labelled, data, seed) for seed in settings.seeds}
    shared = count_shared(images, labelled.train, labelled.test)
    return Scope(
        settings=settings,
        images=images,
        labelled=labelled,
        few=few,
        folds=folds,
        shared=shared,
        stated=[*labelled.stated, *left_out, *shared.sentences()],
    )
