"""The search for what is tuned, against functions whose best place is known."""

import math
from collections.abc import Callable, Mapping

import pytest

from twofold.studies.engine.cell import Cell
from twofold.studies.engine.results import Results
from twofold.studies.engine.tuning import Tuning, tune

RATES = {"base_lr": (0.2, 0.6, 1.8)}
BOTH = {"base_lr": (0.2, 0.6, 1.8), "temperature": (0.1, 0.2, 0.5)}


def make(values: Mapping[str, float]) -> Cell:
    return Cell(name=", ".join(f"{name} {value:g}" for name, value in values.items()), settings=values, on="selection")


def search(
    axes: Mapping[str, tuple[float, ...]], top1: Callable[..., float], further: int = 8
) -> tuple[Tuning, list[int]]:
    """The search to its end, and how many cells it knew of at each of its turns."""
    found, counts = Results(), []
    while True:
        tuning = tune(axes, make, found, further=further)
        counts.append(len(tuning.cells))
        if tuning.best:
            return tuning, counts
        for cell in tuning.cells:
            found.add(cell, {"top1": top1(**cell.settings)})


def near(peak: float) -> Callable[[float], float]:
    return lambda base_lr: 1 - abs(math.log(base_lr / peak)) / 100


@pytest.mark.parametrize(
    ("peak", "chosen", "counts"),
    [
        (0.6, 0.6, [3, 3]),
        (1.8, 1.8, [3, 4, 4]),
        (5.4, 5.4, [3, 4, 5, 5]),
        (0.0222222, 0.0222222, [3, 4, 5, 6, 6]),
        (7.0, 5.4, [3, 4, 5, 5]),
    ],
)
def test_it_goes_on_while_the_outermost_is_the_best(peak: float, chosen: float, counts: list[int]) -> None:
    tuning, seen = search(RATES, near(peak))
    assert tuning.chosen == {"base_lr": chosen}
    assert seen == counts
    assert tuning.edges == ()
    assert tuning.best == make(tuning.chosen)


def test_it_says_where_it_was_cut_short() -> None:
    tuning, _ = search(RATES, near(1e9), further=2)
    assert tuning.chosen == {"base_lr": 16.2}
    assert len(tuning.cells) == 5
    assert tuning.edges == ("base_lr",)
    assert tuning.told({"base_lr": "rate"}) == "rate 16.2, the best of 5 (not searched further in rate)"


def test_of_two_settings_both_go_on() -> None:
    def top1(base_lr: float, temperature: float) -> float:
        return 1 - (math.log(base_lr / 5.4) ** 2 + math.log(temperature / 1.25) ** 2) / 100

    tuning, counts = search(BOTH, top1)
    assert tuning.chosen == {"base_lr": 5.4, "temperature": 1.25}
    assert not tuning.edges
    best = top1(**tuning.chosen)
    assert best == max(top1(**values) for values in tuning.tried.values())
    around = [(5.4, 0.5), (5.4, 3.125), (1.8, 1.25), (16.2, 1.25)]
    assert {tuple(values.values()) for values in tuning.tried.values()} >= set(around), "no neighbour is untried"
    assert counts[0] == 9
    assert len(tuning.cells) <= 17


def test_of_equals_the_search_asks_for_no_more() -> None:
    tuning, counts = search(RATES, lambda base_lr: 0.1)
    assert counts == [3, 3]
    assert tuning.edges == ("base_lr",), "and says so"


def test_a_single_value_is_given() -> None:
    tuning, counts = search({"base_lr": (0.2, 0.6), "margin": (0.8,)}, lambda base_lr, margin: base_lr)
    assert counts[0] == 2
    assert {values["margin"] for values in tuning.tried.values()} == {0.8}


def test_nothing_is_chosen_before_all_is_measured() -> None:
    found = Results()
    cells = tune(RATES, make, found).cells
    for cell in cells[:-1]:
        found.add(cell, {"top1": 0.5})
        assert tune(RATES, make, found).best is None
        assert tune(RATES, make, found).chosen == {}


def test_what_is_found_later_changes_nothing_in_what_was_asked_before() -> None:
    """A study that is run again asks for the same cells in the same order."""
    found, turns = Results(), []
    while not (tuning := tune(RATES, make, found)).best:
        turns.append(tuning.cells)
        for cell in tuning.cells:
            found.add(cell, {"top1": near(5.4)(cell.settings["base_lr"])})
    assert all(tuning.cells[: len(turn)] == turn for turn in turns)
