"""Neighbours by cells are nearly those of the whole table of cosines, and how nearly is measured."""

import numpy as np
import pytest
import torch

from twofold.curation import Neighbours, cells, nearest_others, nearest_rows
from twofold.curation.cells import build_cells, neighbours
from twofold.errors import NotFiniteError
from twofold.evaluation.knn import unit

K = 5


def groups(n: int, seed: int = 0) -> np.ndarray:
    """Rows around 20 directions of 16 numbers."""
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(20, 16))
    return (centres[draw.integers(0, 20, n)] + 0.3 * draw.normal(size=(n, 16))).astype(np.float32)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """2,000 rows that count as many: each is compared with 400 at least."""
    monkeypatch.setattr(cells, "EXACT_UP_TO", 1000)
    monkeypatch.setattr(cells, "_COMPARED", 400)
    return groups(2000)


def share(near: Neighbours, truth: Neighbours) -> float:
    return float(np.mean([np.isin(right, given).mean() for right, given in zip(truth.rows, near.rows, strict=True)]))


def test_most_of_the_nearest_others_are_found_and_the_recall_says_how_many(few: np.ndarray) -> None:
    near, truth = neighbours(few, K), nearest_others(few, K)
    assert near.rows.shape == near.cosines.shape == (2000, K)
    assert not (near.rows == np.arange(2000)[:, None]).any(), "an image is not its own neighbour"
    assert share(near, truth) > 0.95
    assert near.recall == pytest.approx(share(near, truth), abs=0.03)
    x = unit(few).numpy()
    np.testing.assert_allclose(near.cosines, (x[:, None] * x[near.rows]).sum(2), atol=1e-5)
    assert (np.diff(near.cosines, axis=1) <= 0).all(), "the nearest come first"


def test_other_queries_find_their_rows(few: np.ndarray) -> None:
    queries = groups(2000)[:300] * 3 + 0.01
    near = build_cells(few).nearest(unit(queries), K)
    assert share(near, nearest_rows(queries, few, K)) > 0.95
    assert (near.rows[:, 0] == np.arange(300)).mean() > 0.95


def test_compared_with_all_they_are_exact(few: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "_COMPARED", len(few))
    monkeypatch.setattr(cells, "_TILE", 20 * len(few))  # several tiles a cell
    near, truth = neighbours(few, K), nearest_others(few, K)
    np.testing.assert_allclose(near.cosines, truth.cosines, atol=1e-6)
    assert share(near, truth) == near.recall == 1


def test_the_measured_recall_falls_where_neighbours_are_missed(
    few: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "_COMPARED", 1)  # and 20 for each neighbour
    noise = np.random.default_rng(1).normal(size=few.shape).astype(np.float32)
    near = neighbours(noise, K)
    assert near.recall == pytest.approx(share(near, nearest_others(noise, K)), abs=0.08)
    assert near.recall < 0.8


@pytest.mark.parametrize("n", [1001, 1100])
def test_equal_rows_and_empty_cells_do_no_harm(few: np.ndarray, n: int) -> None:
    near = neighbours(np.ones((n, 4), np.float32), K)
    assert not (near.rows == np.arange(n)[:, None]).any()
    np.testing.assert_allclose(near.cosines, 1, atol=1e-6)


def test_few_rows_are_all_compared() -> None:
    h = groups(60)
    np.testing.assert_array_equal(neighbours(h, K).rows, nearest_others(h, K).rows)
    assert neighbours(h, K).recall == 1


def test_numbers_that_are_not_finite_are_refused(few: np.ndarray) -> None:
    few[3, 1] = np.inf
    with pytest.raises(NotFiniteError):
        neighbours(few, K)


def test_the_cells_hold_each_row_once() -> None:
    x = groups(700)
    some = build_cells(x)
    assert sorted(some.rows.tolist()) == list(range(700))
    assert torch.equal(some.bank, unit(x)[some.rows])
    assert some.starts[-1] == 700
