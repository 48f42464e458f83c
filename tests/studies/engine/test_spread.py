"""The intervals of studies, simulated: they hold the truth, whether seeds, images or one noisy cell vary."""

import numpy as np
import pytest

from twofold.studies.engine.cell import Cell
from twofold.studies.engine.results import Results
from twofold.studies.engine.spread import (
    AT_MOST,
    IMAGES_AND_SEEDS,
    SEEDS,
    Term,
    cell_interval,
    pooled_spread,
    sum_interval,
)

DIFFERENCE: dict[Term, float] = {("0", "top1"): 1.0, ("1", "top1"): -1.0}
REPEATS = 250


def simulated(
    random: np.random.Generator, noise: list[float], seeds: int, images: int, *, kept: bool = True
) -> Results:
    """Cells that are equally good in the population; each seed of each moves its share by its own noise.

    Images differ in how hard they are, for all cells alike.
    """
    found, hard = Results(), random.normal(0, 0.15, images)
    common = random.normal(0, 0.02, seeds)
    for name, scale in enumerate(noise):
        for seed in range(seeds):
            share = 0.5 + hard + common[seed] + random.normal(0, scale)
            right = random.random(images) < share
            about = {"right": {"top1": right}} if kept else {"asked": {"top1": images}}
            found.add(Cell(name=str(name), seed=seed), {"top1": float(right.mean())}, learnt=True, **about)
    return found


@pytest.mark.parametrize(
    ("noise", "seeds", "images", "kept", "least", "most"),
    [
        ([0.02] * 6, 3, 2000, True, 0.94, 0.99),
        ([0.02] * 6, 3, 400, False, 0.95, 1.0),  # images at most
        ([0.0] * 6, 5, 200, True, 0.94, 1.0),  # images alone
        ([0.08, 0.02, 0.02, 0.02, 0.02, 0.02], 3, 2000, True, 0.9, 1.0),  # one of the two is noisy
        ([0.02, 0.02, 0.08, 0.02, 0.02, 0.02], 3, 2000, True, 0.94, 1.0),  # another is
    ],
)
def test_the_interval_of_a_difference_holds_the_truth(
    noise: list[float], seeds: int, images: int, kept: bool, least: float, most: float
) -> None:
    random, held = np.random.default_rng(1), 0
    for _ in range(REPEATS):
        found = simulated(random, noise, seeds, images, kept=kept)
        (_, low, high), over = sum_interval(DIFFERENCE, found, [*range(seeds)])
        assert low is not None
        assert high is not None
        assert over == (IMAGES_AND_SEEDS if kept else AT_MOST)
        held += low <= 0 <= high
    assert least <= held / REPEATS <= most


def test_pooling_makes_the_interval_of_few_seeds_shorter() -> None:
    random = np.random.default_rng(2)
    lengths: dict[int, list[float]] = {6: [], 2: []}
    for _ in range(60):
        for cells, seen in lengths.items():
            (_, low, high), _ = sum_interval(DIFFERENCE, simulated(random, [0.02] * cells, 3, 4000), [0, 1, 2])
            assert low is not None
            assert high is not None
            seen.append(high - low)
    assert np.median(lengths[6]) < 0.85 * np.median(lengths[2])


def test_the_pooled_variance_is_that_of_the_residuals_and_leaves_a_noisy_cell_out() -> None:
    random = np.random.default_rng(3)
    table = random.normal(0, 1, (5, 4)) + random.normal(0, 9, 4)
    found = Results()
    for name, row in enumerate(table):
        for seed, value in enumerate(row):
            found.add(Cell(name=str(name), seed=seed), {"top1": float(value)})
    found.add(Cell(name="alone", seed=0), {"top1": 3.0})
    spread = pooled_spread(found, "top1")
    design = np.array([[i == c for c in range(5)] + [j == s for s in range(1, 4)] for i in range(5) for j in range(4)])
    fitted = np.linalg.lstsq(design.astype(float), table.ravel(), rcond=None)
    assert spread.freedom == 20 - 8
    assert spread.variance == pytest.approx(float(fitted[1][0]) / 12)
    for seed in range(4):
        found.add(Cell(name="noisy", seed=seed), {"top1": 1000.0 * (-1) ** seed})
    wild = pooled_spread(found, "top1")
    assert (wild.variance, wild.freedom, wild.unequal) == (spread.variance, spread.freedom, frozenset({"noisy"}))


def test_what_is_no_share_of_images_has_an_interval_over_seeds() -> None:
    found = Results()
    for name in ("0", "1"):
        for seed in range(3):
            found.add(Cell(name=name, seed=seed), {"top1": 0.5 + 0.01 * seed + 0.02 * (name == "0") * seed})
    assert sum_interval(DIFFERENCE, found, [0, 1, 2])[1] == SEEDS
    assert sum_interval(DIFFERENCE, found, [0]) == ((0.0, None, None), "")


def test_the_interval_of_a_cell_stays_inside_0_and_1_and_is_no_point() -> None:
    found = Results()
    for seed in range(3):
        right = np.ones(50, bool)
        found.add(Cell(name="0", seed=seed), {"top1": 1.0}, right={"top1": right})
    (mean, low, high), over = cell_interval("0", "top1", found)
    assert (mean, high, over) == (1.0, 1.0, IMAGES_AND_SEEDS)
    assert low is not None
    assert 0.8 < low < 0.99
