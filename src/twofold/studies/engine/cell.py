"""A cell of a study: one training, and what is measured of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

SPLITS = ("test", "selection")
PREMISE_SEED = 500  # premises have cells of their own: with this seed and those that follow
PREMISE_SEEDS = 3
HALVED = ", half as long"  # what the name of a cell of half the epochs ends in


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The base recipe with some `settings` changed, trained with one `seed`.

    `measure` is a name in `MEASURES`, `options` are what that measure is told beside the recipe (a share of labels).
    `on` says which images it is measured on: "selection", cut from train, for what is chosen by the result, or
    "test". Cells of one name differ in their seed alone. Where a cell learns nothing it is trained again at lower
    rates, unless `may_fail`: then its failure is a result, and counts.
    """

    name: str
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    measure: str = "linear"
    options: Mapping[str, Any] = field(default_factory=dict)
    on: str = "test"
    may_fail: bool = False

    @property
    def key(self) -> str:
        """What no other cell of the study is called; fit for the name of a file."""
        return f"{self.name}.{self.seed}" if self.on == "test" else f"{self.name}.{self.seed}.{self.on}"


def with_seeds(cells: list[Cell], seeds: int) -> list[Cell]:
    """Each cell with the seeds 0 to seeds - 1: the first seed of all comes first, so that a study is soon complete."""
    return [replace(cell, seed=seed) for seed in range(seeds) for cell in cells]


def halved(cells: list[Cell], epochs: float) -> list[Cell]:
    """Each cell trained half as long, `epochs` being how long where a cell does not say; other options stay."""
    return [
        replace(
            cell, name=cell.name + HALVED, settings={**cell.settings, "epochs": cell.settings.get("epochs", epochs) / 2}
        )
        for cell in cells
    ]


def of_premises(cells: list[Cell]) -> list[Cell]:
    """Each cell with seeds of its own for a premise: no claim is judged by them."""
    return [replace(cell, seed=PREMISE_SEED + seed) for seed in range(PREMISE_SEEDS) for cell in cells]
