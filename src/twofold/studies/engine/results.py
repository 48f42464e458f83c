"""What the finished cells of a study measured."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool

from twofold.studies.engine.cell import PREMISE_SEED, Cell

Values = Mapping[str, float]  # what a cell measured, by metric: shares in [0, 1], entropies in nats
Right = Mapping[str, Bool[np.ndarray, " m"]]  # by metric: which of the m test images are right; the value is its mean


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one cell measured; `learnt` is None where that was not recorded.

    `asked` is on how many images a share was counted, by metric, where it is not recorded which of them are right.
    """

    values: Values
    right: Right = field(default_factory=dict)
    asked: Mapping[str, int] = field(default_factory=dict)
    learnt: bool | None = None


@dataclass
class Results:
    """Results by cell; names, seeds and metrics are looked up in it, never guessed.

    What has failed (`learnt` is False, on test) has no values: it is named in `failed`. Seeds from `PREMISE_SEED` on
    are those of premises, and are asked for by `premise`.
    """

    _by_key: dict[tuple[str, str], dict[int, Result]] = field(default_factory=dict)

    def add(self, cell: Cell, values: Values, *, learnt: bool | None = None, **about: Any) -> None:
        """A finished cell; `about` has the `right` and the `asked` of its `Result`."""
        result = Result(values=values, learnt=learnt, **about)
        self._by_key.setdefault((cell.name, cell.on), {})[cell.seed] = result

    def pretend(self, cell: Cell) -> None:
        """Count a cell as finished, as good as all others and with every positive found: to see which would follow."""
        self.add(cell, defaultdict(float, {"top1": 0.0, "contrast_accuracy": 1.0}))

    def has(self, cells: Iterable[Cell]) -> bool:
        """Whether all of these are finished."""
        return all(cell.seed in self._by_key.get((cell.name, cell.on), {}) for cell in cells)

    def names(self, on: str = "test") -> list[str]:
        """The cells that were measured on a split, in the order in which they were added."""
        return [name for name, split in self._by_key if split == on]

    def seeds(self, name: str, metric: str, on: str = "test", *, premise: bool = False) -> list[int]:
        """The seeds with which a cell has a value of the metric: not those that failed."""
        results = self._by_key.get((name, on), {})
        return sorted(
            seed
            for seed, result in results.items()
            if metric in result.values
            and not (on == "test" and result.learnt is False)
            and (on != "test" or (seed >= PREMISE_SEED) is premise)
        )

    def failed(self, name: str) -> list[int]:
        """The seeds with which a cell failed on test."""
        return sorted(seed for seed, one in self._by_key.get((name, "test"), {}).items() if one.learnt is False)

    def knows_whether_learnt(self, name: str) -> bool:
        """Whether it is recorded of all its seeds that they learnt."""
        return all(result.learnt is not None for result in self._by_key.get((name, "test"), {}).values())

    def value(self, name: str, metric: str, seed: int, on: str = "test") -> float:
        """One number."""
        return self._by_key[name, on][seed].values[metric]

    def right(self, name: str, metric: str, seed: int) -> Bool[np.ndarray, " m"] | None:
        """Which test images are right; None where that was not recorded or the metric is no share of them."""
        return self._by_key[name, "test"][seed].right.get(metric)

    def asked(self, name: str, metric: str, seed: int) -> int | None:
        """On how many test images a share was counted; None where that was not recorded."""
        return self._by_key[name, "test"][seed].asked.get(metric)

    def values(self, name: str, metric: str, on: str = "test") -> list[float]:
        """The numbers of all seeds, in their order."""
        return [self.value(name, metric, seed, on) for seed in self.seeds(name, metric, on)]

    def mean(self, name: str, metric: str, on: str = "test") -> float:
        """Their mean."""
        values = self.values(name, metric, on)
        return sum(values) / len(values)

    def best(self, names: Iterable[str], metric: str, on: str = "selection") -> str:
        """The name with the highest mean; of equals the first. One without any value is never it."""
        return max((name for name in names if self.seeds(name, metric, on)), key=lambda n: self.mean(n, metric, on))
