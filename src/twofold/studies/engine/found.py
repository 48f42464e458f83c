"""What the finished cells of a study measured."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from twofold.studies.engine.cell import Cell

Values = Mapping[str, float]  # what a cell measured, by metric: shares in [0, 1], entropies in nats


@dataclass
class Found:
    """Values by cell; names, seeds and metrics are looked up in it, never guessed."""

    _by_key: dict[tuple[str, str], dict[int, Values]] = field(default_factory=dict)

    def add(self, cell: Cell, values: Values) -> None:
        """A finished cell."""
        self._by_key.setdefault((cell.name, cell.on), {})[cell.seed] = values

    def pretend(self, cell: Cell) -> None:
        """Count a cell as finished, as good as all others and with every positive found: to see which would follow."""
        self.add(cell, defaultdict(float, {"top1": 0.0, "contrast_accuracy": 1.0}))

    def has(self, cells: Iterable[Cell]) -> bool:
        """Whether all of these are finished."""
        return all(cell.seed in self._by_key.get((cell.name, cell.on), {}) for cell in cells)

    def names(self, on: str = "test") -> list[str]:
        """The cells that were measured on a split, in the order in which they were added."""
        return [name for name, split in self._by_key if split == on]

    def seeds(self, name: str, metric: str, on: str = "test") -> list[int]:
        """The seeds with which a cell has a value of the metric: one that diverged has its top1 alone."""
        values = self._by_key.get((name, on), {})
        return sorted(seed for seed, found in values.items() if metric in found)

    def value(self, name: str, metric: str, seed: int, on: str = "test") -> float:
        """One number."""
        return self._by_key[name, on][seed][metric]

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
