"""Which images never train, so that the loss can be watched on them."""

from dataclasses import replace

import pytest

from twofold.data.held_out import held_out_rows, hold_out
from twofold.data.image_set import ImageSet
from twofold.data.pixels import Pixels


def images(train: int, *, validation: int = 0, test: int = 0, groups: int = 0) -> ImageSet:
    splits = ["train"] * train + ["validation"] * validation + ["test"] * test
    names = [f"{row}.png" for row in range(len(splits))]
    return ImageSet(
        name="made up",
        channels=1,
        fingerprint="f",
        paths=names,
        labels=[None] * len(names),
        splits=splits,
        quarantine=[],
        findings=[],
        pixels=Pixels.__new__(Pixels),
        groups=[f"group {row % groups}" for row in range(len(names))] if groups else [],
    )


@pytest.mark.parametrize(("train", "fraction", "kept_out"), [(1600, None, 32), (5000, None, 100), (1599, None, 0)])
def test_two_per_cent_unless_that_is_too_few(train: int, fraction: float | None, kept_out: int) -> None:
    found = hold_out(images(train, test=10), fraction, seed=0)
    assert len(held_out_rows(found)) == kept_out
    assert len(found.rows("train")) == train - kept_out
    assert found.rows("test").tolist() == list(range(train, train + 10))
    assert found.fingerprint == "f"


def test_the_cut_is_a_function_of_the_seed() -> None:
    data = images(200)
    first, again, other = (held_out_rows(hold_out(data, 0.1, seed)).tolist() for seed in (0, 0, 1))
    assert first == again != other
    assert len(first) == 20
    assert len(held_out_rows(data)) == 0, "the set itself stays"


def test_validation_images_are_taken_where_there_are_any() -> None:
    own = images(2000, validation=7)
    assert hold_out(own, 0.1, seed=0) is own
    assert held_out_rows(own).tolist() == list(range(2000, 2007))
    as_test = replace(images(2000, test=9), test_from="validation")
    assert hold_out(as_test, 0.1, seed=0) is as_test
    assert held_out_rows(as_test).tolist() == list(range(2000, 2009))


def test_nothing_is_kept_out_where_nothing_is_wanted() -> None:
    data = images(5000)
    assert hold_out(data, 0.0, seed=0) is data


def test_no_group_is_divided() -> None:
    found = hold_out(images(400, groups=20), 0.1, seed=0)
    held = {found.groups[row] for row in held_out_rows(found)}
    assert 1 <= len(held) <= 4
    assert not held & {found.groups[row] for row in found.rows("train")}
