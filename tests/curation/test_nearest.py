"""Nearest neighbours in tiles are those of the whole table of cosines."""

import numpy as np
import pytest
import torch

from twofold.curation import nearest, nearest_others, nearest_rows
from twofold.errors import NotFiniteError

H = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a / np.linalg.norm(a, axis=1)[:, None]) @ (b / np.linalg.norm(b, axis=1)[:, None]).T


@pytest.mark.parametrize("cells", [40, 120, 10**9])
def test_others_are_the_highest_cosines_without_the_row_itself(monkeypatch: pytest.MonkeyPatch, cells: int) -> None:
    monkeypatch.setattr(nearest, "_CELLS", cells)
    near = nearest_others(H, 7)
    table = cosines(H, H)
    np.fill_diagonal(table, -2)
    np.testing.assert_array_equal(near.rows, np.argsort(-table, axis=1)[:, :7])
    np.testing.assert_allclose(near.cosines, -np.sort(-table, axis=1)[:, :7], atol=1e-6)


def test_rows_of_a_bank_are_found_for_other_queries() -> None:
    near = nearest_rows(H[:5] * 3, H, 2)
    np.testing.assert_array_equal(near.rows[:, 0], np.arange(5))
    np.testing.assert_allclose(near.cosines[:, 0], 1, atol=1e-6)
    np.testing.assert_array_equal(near.first(1).rows, near.rows[:, :1])


@pytest.mark.parametrize("part", [1, 7, 39, 40])
def test_a_bank_that_is_read_in_parts_gives_the_same(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    expected = nearest_rows(H[:9], H, 5)
    monkeypatch.setattr(nearest, "_PART", part)
    near = nearest_rows(H[:9], H, 5)
    np.testing.assert_array_equal(near.rows, expected.rows)
    np.testing.assert_allclose(near.cosines, expected.cosines, atol=1e-6)


@pytest.mark.parametrize(("n", "k", "expected"), [(0, 3, (0, 0)), (1, 3, (1, 0)), (2, 3, (2, 1))])
def test_there_are_never_more_neighbours_than_others(n: int, k: int, expected: tuple[int, int]) -> None:
    assert nearest_others(H[:n], k).rows.shape == expected


@pytest.mark.parametrize("n", [12, 640, 645, 655])
def test_the_largest_numbers_are_those_of_topk(n: int) -> None:
    x = torch.from_numpy(np.random.default_rng(n).normal(size=(30, n)).astype(np.float32))
    numbers, columns = nearest.largest(x, 7)
    expected = torch.topk(x, 7, dim=1)
    assert torch.equal(numbers, expected.values)
    assert torch.equal(columns, expected.indices)


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(NotFiniteError):
        nearest_others(np.full((3, 2), np.nan, np.float32), 1)


def test_forgetting_the_own_row_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = nearest._nearest
    monkeypatch.setattr(nearest, "_nearest", lambda a, b, k, but_self: whole(a, b, k, but_self=False))
    assert (nearest_others(H, 1).rows[:, 0] == np.arange(40)).all()
