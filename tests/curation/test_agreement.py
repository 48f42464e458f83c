"""What two embeddings must share for one to take the place of the other."""

import numpy as np
import pytest

from twofold.curation.agreement import agreement, voted
from twofold.errors import TwofoldError

H = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)


def test_equal_embeddings_agree() -> None:
    same = agreement(H, H, classes=(np.arange(60), np.arange(60)))
    assert (same.images, same.largest_difference, same.same_neighbour, same.same_top1) == (60, 0, 1, 1)
    same.require("it")


def test_rounding_agrees() -> None:
    agreement(H, H + np.float32(1e-3) * np.sign(H), classes=None).require("it")


def test_one_wrong_number_does_not() -> None:
    other = H.copy()
    other[3, 4] += 0.1
    compared = agreement(H, other, classes=None)
    assert compared.largest_difference == pytest.approx(0.1 / np.sqrt((H**2).mean()), rel=1e-4)
    with pytest.raises(TwofoldError, match=r"what was written does not agree.*Nothing was written"):
        compared.require("what was written")


def test_numbers_that_are_not_finite_do_not() -> None:
    with pytest.raises(TwofoldError, match="not finite"):
        agreement(H, H * np.float32("nan"), classes=None)


def test_other_neighbours_and_other_classes_are_named() -> None:
    rows = np.roll(np.arange(60), 1)
    compared = agreement(H, H[rows], classes=(np.arange(60), rows))
    assert compared.same_neighbour < 0.5
    with pytest.raises(TwofoldError, match=r"same nearest neighbour, only 0.0% get the same class"):
        compared.require("it")


def test_a_vote_is_that_of_the_nearest_others() -> None:
    h = np.array([[1, 0.01 * i] for i in range(6)] + [[0.01 * i, 1] for i in range(6)], np.float32)
    ids = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0])
    assert voted(h, ids).tolist() == [0] * 6 + [1] * 6
