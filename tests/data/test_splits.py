"""Cuts: disjoint, stratified, nested, and functions of the seed alone."""

import subprocess
import sys
import time

import numpy as np
import pytest

from twofold.data import cut_fraction, label_fraction, shots_per_class
from twofold.data.splits import cut_groups, permutation

KEYS = [f"folder/{number:04d}.png" for number in range(300)]
LABELS = ["rare" if number % 10 == 0 else "common" if number % 3 else "usual" for number in range(300)]
IDS = np.random.default_rng(0).integers(-1, 4, 400)


@pytest.mark.parametrize("labels", [None, LABELS])
@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.5, 0.99])
def test_a_cut_parts_all_rows_in_two(fraction: float, labels: list[str] | None) -> None:
    kept, cut = cut_fraction(KEYS, fraction, 0, labels)
    assert sorted([*kept, *cut]) == list(range(300))
    assert (np.diff(kept) > 0).all()
    assert (np.diff(cut) > 0).all()
    groups = set(labels or [None])
    assert abs(len(cut) - 300 * fraction) <= len(groups)


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.5])
def test_a_cut_is_stratified(fraction: float) -> None:
    _, cut = cut_fraction(KEYS, fraction, 0, LABELS)
    for label in set(LABELS):
        size = LABELS.count(label)
        share = sum(LABELS[row] == label for row in cut)
        assert share == max(1, round(fraction * size))


@pytest.mark.parametrize("labels", [None, LABELS])
def test_smaller_cuts_lie_in_larger_ones(labels: list[str] | None) -> None:
    cuts = [set(cut_fraction(KEYS, fraction, 7, labels)[1].tolist()) for fraction in (0.05, 0.1, 0.3, 0.8)]
    assert cuts[0] < cuts[1] < cuts[2] < cuts[3]


def test_a_cut_follows_the_keys_and_the_seed_not_the_order() -> None:
    def keys_cut(keys: list[str], seed: int) -> set[str]:
        return {keys[row] for row in cut_fraction(keys, 0.2, seed)[1]}

    assert keys_cut(KEYS, 0) == keys_cut(KEYS[::-1], 0)
    assert keys_cut(KEYS, 0) != keys_cut(KEYS, 1)


def test_new_pictures_move_few_others() -> None:
    more = KEYS + [f"new/{number}.png" for number in range(30)]
    before = {KEYS[row] for row in cut_fraction(KEYS, 0.2, 0)[1]}
    after = {more[row] for row in cut_fraction(more, 0.2, 0)[1]}
    assert len(before - after) <= 12


@pytest.mark.parametrize(("count", "cut"), [(0, 0), (1, 0), (2, 1), (3, 1)])
def test_small_classes_give_one_and_keep_one(count: int, cut: int) -> None:
    for fraction in (0.01, 0.5):
        assert len(cut_fraction(KEYS[:count], fraction, 0, LABELS[:1] * count)[1]) in (cut, round(fraction * count))
    assert len(cut_fraction(KEYS[:count], 0.0, 0)[1]) == 0


def test_shots_are_k_of_each_class_nested() -> None:
    chosen = {k: shots_per_class(IDS, k, 3) for k in (1, 5, 20)}
    for k, rows in chosen.items():
        assert (np.diff(rows) > 0).all()
        assert np.bincount(IDS[rows], minlength=4).tolist() == [k] * 4
    assert set(chosen[1]) < set(chosen[5]) < set(chosen[20])
    assert set(shots_per_class(IDS, 5, 4)) != set(chosen[5])


def test_shots_beyond_a_class_are_all_of_it() -> None:
    assert shots_per_class(np.array([0, 1, 1, -1]), 2, 0).tolist() == [0, 1, 2]


def test_label_fractions_are_stratified_and_nested() -> None:
    chosen = {fraction: label_fraction(IDS, fraction, 3) for fraction in (0.001, 0.01, 0.1, 1.0)}
    sizes = np.bincount(IDS[IDS >= 0], minlength=4)
    for fraction, rows in chosen.items():
        expected = [max(1, round(fraction * size)) for size in sizes]
        assert np.bincount(IDS[rows], minlength=4).tolist() == expected
    assert set(chosen[0.001]) <= set(chosen[0.01]) < set(chosen[0.1]) < set(chosen[1.0])
    assert chosen[1.0].tolist() == np.flatnonzero(IDS >= 0).tolist()


def test_nothing_labelled_gives_nothing() -> None:
    assert len(shots_per_class(np.full(5, -1), 3, 0)) == 0
    assert len(label_fraction(np.zeros(0, np.int64), 0.5, 0)) == 0


def test_permutations_are_even() -> None:
    """Each number comes first about as often as any other: a chi-squared test over 4000 seeds."""
    first = np.bincount([permutation(8, seed)[0] for seed in range(4000)], minlength=8)
    assert ((first - 500) ** 2 / 500).sum() < 24.3  # the 99.9 % quantile at 7 degrees of freedom


def test_a_permutation_never_changes() -> None:
    """Resumed runs and cuts rest on it, so this one list may be a constant."""
    expected = np.argsort(np.random.PCG64(np.random.SeedSequence((1, 2))).random_raw(50), kind="stable")
    assert np.array_equal(permutation(50, 1, 2), expected)
    assert sorted(permutation(50, 1, 2)) == list(range(50))
    assert not np.array_equal(permutation(50, 1, 2), permutation(50, 1, 3))


def test_cuts_are_equal_in_another_process() -> None:
    """Python's own hash of a text differs from process to process; these cuts must not."""
    program = (
        "from twofold.data.splits import cut_fraction\n"
        "print(cut_fraction([f'folder/{n:04d}.png' for n in range(300)], 0.1, 5)[1].tolist())"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.strip() == str(cut_fraction(KEYS, 0.1, 5)[1].tolist())


GROUPS = [f"patient {number // 6}" for number in range(300)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5])
def test_a_cut_by_group_divides_none_and_comes_near_to_the_fraction(fraction: float, seed: int) -> None:
    kept, cut = cut_groups(KEYS, GROUPS, fraction, seed, LABELS)
    assert sorted([*kept, *cut]) == list(range(300))
    assert {GROUPS[row] for row in kept}.isdisjoint({GROUPS[row] for row in cut})
    for label in set(LABELS):
        share = sum(LABELS[row] == label for row in cut) / LABELS.count(label)
        assert abs(share - fraction) <= 0.11


def test_a_cut_by_row_does_divide_groups() -> None:
    kept, cut = cut_fraction(KEYS, 0.2, 0, LABELS)
    assert {GROUPS[row] for row in kept} & {GROUPS[row] for row in cut}


def test_rows_without_a_group_are_groups_of_their_own() -> None:
    alone = cut_groups(KEYS, [None] * 300, 0.2, 0, LABELS)[1]
    assert [sum(LABELS[row] == label for row in alone) for label in ("common", "rare", "usual")] == [36, 6, 18]


def test_a_single_group_is_kept_whole_and_each_class_keeps_some() -> None:
    assert len(cut_groups(KEYS, ["one"] * 300, 0.2, 0, LABELS)[1]) == 0
    by_class = [f"group of {label}" for label in LABELS]
    assert len(cut_groups(KEYS, by_class, 0.2, 0, LABELS)[1]) == 0
    two_each = [f"{label} {number % 2}" for number, label in enumerate(LABELS)]
    kept, cut = cut_groups(KEYS, two_each, 0.2, 0, LABELS)
    assert {LABELS[row] for row in kept} >= {LABELS[row] for row in cut}


def test_a_cut_by_group_follows_the_groups_and_the_seed_not_the_order() -> None:
    def cut(order: list[int], seed: int) -> set[str]:
        keys, groups = [KEYS[row] for row in order], [GROUPS[row] for row in order]
        return {keys[row] for row in cut_groups(keys, groups, 0.2, seed, [LABELS[row] for row in order])[1]}

    order = list(range(300))
    assert cut(order, 0) == cut(order[::-1], 0)
    assert cut(order, 0) != cut(order, 1)


NUMBERS = np.random.default_rng(1).integers(0, 40, 400)  # groups of the rows of IDS


def test_shots_take_no_second_row_of_a_group_before_all_groups_have_given_one() -> None:
    chosen = {k: shots_per_class(IDS, k, 3, NUMBERS) for k in (1, 5, 20)}
    for k, rows in chosen.items():
        assert np.bincount(IDS[rows], minlength=4).tolist() == [k] * 4
        for label in range(4):
            assert len(set(NUMBERS[rows[IDS[rows] == label]])) == k
    assert set(chosen[1]) < set(chosen[5]) < set(chosen[20])
    many = shots_per_class(IDS, 60, 3, NUMBERS)
    own = many[IDS[many] == 0]
    assert set(NUMBERS[own]) == set(NUMBERS[IDS == 0]), "every group of the class"


def test_shots_without_groups_do_take_several_of_one() -> None:
    rows = shots_per_class(IDS, 20, 3)
    assert any(len(set(NUMBERS[rows[IDS[rows] == label]])) < 20 for label in range(4))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.7, 1.0])
def test_label_fractions_divide_no_group(fraction: float, seed: int) -> None:
    rows = label_fraction(IDS, fraction, seed, NUMBERS)
    labelled = np.flatnonzero(IDS >= 0)
    assert set(NUMBERS[rows]).isdisjoint(NUMBERS[np.setdiff1d(labelled, rows)])
    assert (IDS[rows] >= 0).all()
    assert abs(len(rows) - fraction * len(labelled)) <= 16
    assert set(IDS[rows]) == {0, 1, 2, 3}


def test_groups_of_one_row_each_change_no_share() -> None:
    alone = label_fraction(IDS, 0.2, 0, np.arange(400))
    assert np.bincount(IDS[alone]).tolist() == np.bincount(IDS[label_fraction(IDS, 0.2, 0)]).tolist()


def test_a_cut_of_many_classes_by_group_is_fast() -> None:
    keys, groups, labels = ([str(number // size) for number in range(12_000)] for size in (1, 2, 4))
    start = time.process_time()
    kept, cut = cut_groups(keys, groups, 0.2, 0, labels)
    assert time.process_time() - start < 1.5, "it grows with the square of the classes"
    assert (len(kept), len(cut)) == (6_000, 6_000), "each class of two groups gives one"
