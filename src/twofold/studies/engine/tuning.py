"""Choosing what is tuned: a grid, and on past its edges while the best lies there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product

from twofold.studies.engine.cell import Cell
from twofold.studies.engine.results import Results

FURTHER = 8  # cells past the grid, at most
TUNING_SEED = 1000  # no final cell's: an encoder that is best by chance must not be counted again on test

Values = Mapping[str, float]
Place = tuple[int, ...]  # along each axis; below 0 and past the last value the axis goes on


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """The cells of a search so far, in the order in which they were asked for, with the values that each tries."""

    tried: Mapping[str, Values]  # name of the cell -> values
    cells: tuple[Cell, ...]
    best: Cell | None  # None until all are measured
    edges: tuple[str, ...] = ()  # what the best has an untried neighbour in: cut short, or others were as good

    @property
    def chosen(self) -> Values:
        """The values of the best cell; none while some are not measured."""
        return {} if self.best is None else self.tried[self.best.name]

    def told(self, names: Mapping[str, str]) -> str:
        """ "rate 0.6, temperature 0.1, the best of 11"; `names` says what each setting is called."""
        values = ", ".join(f"{names[name]} {value:g}" for name, value in self.chosen.items())
        cut = f" (not searched further in {' and '.join(names[name] for name in self.edges)})" if self.edges else ""
        return f"{values}, the best of {len(self.tried)}{cut}"


def tune(
    axes: Mapping[str, Sequence[float]],
    make: Callable[[Values], Cell],
    results: Results,
    *,
    further: int = FURTHER,
    seeds: int = 1,
) -> Tuning:
    """Search for the values with the highest top1: all of the grid, then the untried neighbours of the best, again.

    `axes` gives the values of each setting, ascending; past its ends an axis goes on by the ratio of its last two
    values there (0.2, 0.6, 1.8: then 5.4). `make` builds the cell of some values. The search ends where all neighbours
    of the best are tried, where several are equally good, or after `further` values past the grid. Each is trained with
    as many `seeds`, from that of its cell on, and the mean counts.
    """
    cells: dict[Place, Cell] = {}
    todo: list[Place] = list(product(*(range(len(values)) for values in axes.values())))
    room = len(todo) + further
    while True:
        cells |= {place: make(_values(axes, place)) for place in islice(todo, room - len(cells))}
        tried = {cell.name: _values(axes, place) for place, cell in cells.items()}
        every = tuple(replace(cell, seed=cell.seed + more) for more in range(seeds) for cell in cells.values())
        if not results.has(every):
            return Tuning(tried=tried, cells=every, best=None)
        best, alone = _best(cells, results)
        todo = [place for place in _neighbours(axes, best) if place not in cells]
        if not todo or not alone or len(cells) == room:
            edges = tuple(name for at, name in enumerate(axes) if any(place[at] != best[at] for place in todo))
            return Tuning(tried=tried, cells=every, best=cells[best], edges=edges)


def _best(cells: Mapping[Place, Cell], results: Results) -> tuple[Place, bool]:
    """The place with the highest top1, and whether no other is as good."""
    top1s = {place: results.mean(cell.name, "top1", cell.on) for place, cell in cells.items()}
    best = max(top1s, key=lambda place: top1s[place])
    return best, list(top1s.values()).count(top1s[best]) == 1


def _neighbours(axes: Mapping[str, Sequence[float]], place: Place) -> Iterator[Place]:
    for at, values in enumerate(axes.values()):
        if len(values) > 1:  # one value has no ratio: it is given, not tuned
            for step in (-1, 1):
                yield (*place[:at], place[at] + step, *place[at + 1 :])


def _values(axes: Mapping[str, Sequence[float]], place: Place) -> Values:
    return {name: _value(values, at) for (name, values), at in zip(axes.items(), place, strict=True)}


def _value(values: Sequence[float], at: int) -> float:
    last = len(values) - 1
    if at < 0:
        beyond = values[0] * (values[0] / values[1]) ** -at
    elif at > last:
        beyond = values[last] * (values[last] / values[last - 1]) ** (at - last)
    else:
        return values[at]
    return float(f"{beyond:.6g}")
