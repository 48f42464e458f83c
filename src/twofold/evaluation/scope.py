"""What is measured on which images: protocols, budgets of labels, seeds, folds for choices; and the key of all that."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from torch import nn

from twofold import __version__
from twofold.data import FEW_LABELLED, ImageSet, Shared, count_shared
from twofold.errors import require, require_choice
from twofold.evaluation.cross_validation import (
    Part,
    count_shared_by_parts,
    divide,
    fold_numbers,
)
from twofold.evaluation.features import Subject
from twofold.evaluation.labels import (
    Fold,
    Labels,
    MeasuredRows,
    few_budgets,
    is_cross_validated,
    label_count,
    measured_rows,
    pooled_rows,
    selection_folds,
)
from twofold.evaluation.linear_probe import FINE_L2_GRID, L2_GRID
from twofold.evaluation.predictions import PredictionStore
from twofold.evaluation.protocols import PROTOCOLS, TRAINED
from twofold.evaluation.schedules import SCHEDULES
from twofold.evaluation.self_trainer import STEPS, TRIAL, trial_steps
from twofold.recipes.recipe import DataRecipe

_LEAKS = ("TF031", "TF032")  # findings: test resembles its neighbours in train; groups in train and in test
Draw = tuple[int, Labels]  # seed, budget
PROTOCOL_NAMES = (*PROTOCOLS, "layers")  # layers: the linear probe on the layers of the head too
_KEYED_VIEWS = (  # in the key of what is kept; settings that came later play no part in central views, crop and flip
    "size_px",
    "policy",
    "strength",
    "crop_area",
    "flip_prob",
    "interpolation",
    "ops",
    "one_branch",
    "eval_size_px",
    "eval_crop_fraction",
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a person asks for.

    `seeds`: draws with all labels, with a fraction of them, and of every network that is trained; `few_seeds`: draws
    of k-NN and linear probe with some `shots` per class. `fractions` holds 1 where networks are to be trained on all
    labels too. `start`: the layer that fine-tuning starts from. `schedule`: "tuned", how networks are trained is chosen
    on the labels, or "paper". `epochs` replaces the length of either.
    `self_train_steps`: the length of self-training.
    """

    protocols: tuple[str, ...] = ("knn", "linear")
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    few_seeds: tuple[int, ...] = tuple(range(20))
    shots: tuple[int, ...] = (1, 5, 10, 50)
    fractions: tuple[float, ...] = ()
    start: str = "h"
    schedule: str = "tuned"
    epochs: float | None = None
    self_train_steps: int = STEPS
    grid: tuple[float, ...] = L2_GRID
    baselines: bool = True  # measure the untrained encoder and raw pixels

    def __post_init__(self) -> None:
        require(len(self.protocols) > 0, "protocol", self.protocols, "one or more")
        for protocol in self.protocols:
            require_choice("protocol", protocol, PROTOCOL_NAMES)
        for name, count in (("seeds", len(self.seeds)), ("few_seeds", len(self.few_seeds))):
            require(count >= 1, name, count, "at least 1")
        require(self.self_train_steps >= 1, "self_train_steps", self.self_train_steps, "at least 1")
        for count in self.shots:
            require(count >= 1, "shots", count, "at least 1")
        for fraction in self.fractions:
            rule = "above 0 and at most 1 (0.01 is 1 %)"
            require(0 < fraction <= 1, "label_fraction", fraction, rule)
        require_choice("finetune_schedule", self.schedule, SCHEDULES)
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


def transfer_settings(
    protocols: Sequence[str], seeds: Sequence[int], epochs: float | None, schedule: str = "tuned"
) -> Settings:
    """All labels, and L2 among the paper's 45 values (appendix B.8; reference 5.3). The head's layers are left out."""
    for protocol in protocols:
        require_choice("protocol", protocol, tuple(name for name in PROTOCOLS if name != "self-train"))
    return Settings(
        protocols=tuple(protocols),
        seeds=tuple(seeds),
        few_seeds=(0,),
        shots=(),
        fractions=(1.0,),
        schedule=schedule,
        epochs=epochs,
        grid=FINE_L2_GRID,
    )


@dataclass(frozen=True, kw_only=True)
class Scope:
    """`Settings` on given images: which budgets these allow, and the folds that choices are made on.

    `notes` are sentences on what was left out and on what the splits share. Where it is cross-validated, `parts` has
    those of each seed, and `rows` has all labelled images, as train and as test.
    """

    settings: Settings
    images: ImageSet
    rows: MeasuredRows
    few: list[Labels]
    folds: dict[int, list[Fold]] = field(repr=False)
    shared: Shared
    notes: list[str]
    parts: dict[int, list[Part]] = field(default_factory=dict, repr=False)

    @property
    def budgets(self) -> list[Labels]:
        """All labels first, then from few to many."""
        return ["all", *self.few]

    @property
    def caveats(self) -> list[str]:
        """What is known to make figures on these images too high or too low: copies, two labels, divided groups."""
        findings = [finding.text for finding in self.images.findings if finding.code in _LEAKS]
        shared = self.shared.sentences()[0 if self.shared.test_also_in_train else 1 :]
        return [*findings, *shared]

    @property
    def network_budgets(self) -> list[Labels]:
        """Those that networks are trained on: all labels only where asked for, or where there is no other."""
        whole: list[Labels] = ["all"] if 1.0 in self.settings.fractions or not self.few else []
        return [*self.few, *whole]

    def seeds(self, labels: Labels) -> Sequence[int]:
        """The draws of k-NN and linear probe at a budget; a cross-validation draws anew for every fold of a seed."""
        return self.settings.few_seeds if isinstance(labels, int) and not self.parts else self.settings.seeds

    def draws(self, weights: int | None, budgets: Sequence[Labels]) -> list[Draw]:
        """Draws for probes; on untrained weights only those that fall to them: seed % sets of weights."""
        sets = self.settings.seeds
        return [
            (seed, labels)
            for labels in budgets
            for place, seed in enumerate(self.seeds(labels))
            if weights is None or sets[place % len(sets)] == weights
        ]

    @property
    def fitted(self) -> MeasuredRows:
        """The rows of train; where it is cross-validated those of the first part, as an example of their size."""
        return self.parts[self.settings.seeds[0]][0].rows if self.parts else self.rows

    @property
    def selection(self) -> list[Fold]:
        """The folds that the first seed's choices with all labels are made on."""
        seed = self.settings.seeds[0]
        return self.parts[seed][0].folds if self.parts else self.folds[seed]

    @property
    def taken(self) -> dict[Labels, float]:
        """The share of the labelled images that a draw takes of those that it could, by budget; see `estimate`."""
        budgets = self.budgets if self.parts else self.few
        return {labels: label_count(self.fitted, labels) / len(self.rows.train) for labels in budgets}

    @property
    def fold_numbers(self) -> dict[int, Int64[np.ndarray, " n"]]:
        """By seed, the fold in which each image was predicted; empty where it is not cross-validated."""
        return {seed: fold_numbers(parts) for seed, parts in self.parts.items()}


def find_scope(images: ImageSet, settings: Settings, data: DataRecipe) -> Scope:
    """Raises TwofoldError for data that cannot be measured on (`measured_rows`)."""
    if is_cross_validated(images):
        return _cross_validated(images, settings, data)
    rows = measured_rows(images)
    few, left_out = few_budgets(rows, settings.shots, settings.fractions)
    folds = {seed: selection_folds(images, rows, data, seed) for seed in settings.seeds}
    shared = count_shared(images, rows.train, rows.test)
    return Scope(
        settings=settings,
        images=images,
        rows=rows,
        few=few,
        folds=folds,
        shared=shared,
        notes=[*rows.notes, *left_out, *shared.sentences()],
    )


def _cross_validated(images: ImageSet, settings: Settings, data: DataRecipe) -> Scope:
    rows = pooled_rows(images)
    parts = {seed: divide(images, rows, data, seed) for seed in settings.seeds}
    first = parts[settings.seeds[0]]
    few, left_out = few_budgets(first[0].rows, settings.shots, settings.fractions)
    shared = count_shared_by_parts(images, rows, first)
    how = (
        f"no test split and {len(rows.train):,} labelled images, under {FEW_LABELLED:,}: {len(first)}-fold "
        f"cross-validation on all of them, {len(settings.seeds)} times; each is predicted by what was fitted without it"
    )
    return Scope(
        settings=settings,
        images=images,
        rows=rows,
        few=few,
        folds={},
        shared=shared,
        notes=[how, *rows.notes, *left_out, *shared.sentences()],
        parts=parts,
    )


def open_store(subject: Subject, scope: Scope, keep: Path | None) -> PredictionStore:
    """What the folder `keep` holds, or will hold, of exactly these measurements."""
    return PredictionStore(keep, _key(subject, scope))


def _method(settings: Settings) -> int:
    """6: self-training by smaller steps than before; 7: chosen by trials that are longer than a fourth of it."""
    if "self-train" not in settings.trained:
        return 5
    return 6 if trial_steps(settings.self_train_steps) == settings.self_train_steps // TRIAL else 7


def _key(subject: Subject, scope: Scope) -> dict[str, Any]:
    """Everything that the predictions depend on; `method` is another where the same settings predict otherwise."""
    return {
        "version": __version__,
        "method": _method(scope.settings),
        "name": subject.name,
        "weights": _weights_digest(subject.encoder),
        "head": _weights_digest(subject.head) if subject.head is not None else None,
        "precision": getattr(subject.hardware, "precision", None),
        "pictures": scope.images.fingerprint,  # and splits, but not labels
        "labels": [scope.rows.classes, scope.rows.train.tolist(), scope.rows.train_ids.tolist()],
        "test": scope.rows.test.tolist(),
        "views": f"ViewsRecipe({', '.join(f'{name}={getattr(subject.views, name)!r}' for name in _KEYED_VIEWS)})",
        "settings": scope.settings,
        "folds": [[cut.tolist() for _, cut in folds] for folds in scope.folds.values()],
        **({"parts": [fold.tolist() for fold in scope.fold_numbers.values()]} if scope.parts else {}),
        **({} if scope.rows.groups is None else {"groups": scope.rows.groups.tolist(), "dealt": 2}),
    }


def _weights_digest(module: nn.Module) -> str:
    digest = blake2b(digest_size=16)
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
