"""Which pictures serve what: pure functions of paths, labels and a seed.

The order behind a cut comes from random bits and hashes whose streams never change, so a cut made today can be made
again with any later version of numpy.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int64

Rows = Int64[np.ndarray, "_"]  # row numbers, sorted


def permutation(count: int, *key: int) -> Int64[np.ndarray, " {count}"]:
    """A random order of 0 .. count - 1, a function of the numbers in `key` alone."""
    bits = np.random.PCG64(np.random.SeedSequence(key)).random_raw(count)
    return np.argsort(bits, kind="stable").astype(np.int64)


def cut_fraction(
    keys: Sequence[str], fraction: float, seed: int, labels: Sequence[str | None] | None = None
) -> tuple[Rows, Rows]:
    """Sorted rows (kept, cut) with round(fraction n) cut off, of each class where labels are given.

    A class (or the whole) of two or more gives at least one and keeps at least one. Each row's place in line is a
    hash of (seed, key), so a smaller fraction cuts a subset, and adding pictures moves few of the others.
    """
    groups: dict[str | None, list[int]] = {}
    for row, label in enumerate(labels if labels is not None else [None] * len(keys)):
        groups.setdefault(label, []).append(row)
    is_cut = np.zeros(len(keys), bool)
    for rows in groups.values():
        line = sorted(rows, key=lambda row: _place(keys[row], seed))
        is_cut[line[: _share(len(rows), fraction)]] = True
    return np.flatnonzero(~is_cut), np.flatnonzero(is_cut)


def cut_groups(
    keys: Sequence[str],
    groups: Sequence[str | None],
    fraction: float,
    seed: int,
    labels: Sequence[str | None] | None = None,
) -> tuple[Rows, Rows]:
    """Sorted rows (kept, cut) as `cut_fraction` gives them, as nearly as can be without dividing a group.

    A row without a group is one of its own. Groups are taken in the order of their hashes while that brings the count
    of each label nearer to its share; a label of several groups gives one and keeps one, a single group stays whole.
    """
    names = labels if labels is not None else [None] * len(keys)
    units: dict[str, list[int]] = {}
    for row, (key, group) in enumerate(zip(keys, groups, strict=True)):
        units.setdefault(f"row {key}" if group is None else f"group {group}", []).append(row)
    held = {unit: Counter(names[row] for row in rows) for unit, rows in units.items()}
    total = Counter(names)
    wanted = {name: _share(count, fraction) for name, count in total.items()}
    cut: set[str] = set()
    got: Counter[str | None] = Counter()

    def take(unit: str) -> None:
        cut.add(unit)
        got.update(held[unit])

    line = sorted(units, key=lambda unit: _place(unit, seed))
    for unit in line:
        nearer = sum(abs(wanted[n] - got[n]) - abs(wanted[n] - got[n] - count) for n, count in held[unit].items()) > 0
        if nearer and _keeps_some(held[unit], got, total):
            take(unit)
    for name in sorted(wanted, key=str):
        spare = (unit for unit in line if name in held[unit] and _keeps_some(held[unit], got, total))
        if wanted[name] and not got[name]:
            for first in [*spare][:1]:
                take(first)
    is_cut = np.zeros(len(keys), bool)
    is_cut[[row for unit in cut for row in units[unit]]] = True
    return np.flatnonzero(~is_cut), np.flatnonzero(is_cut)


def _keeps_some(unit: Counter[str | None], got: Counter[str | None], total: Counter[str | None]) -> bool:
    """Whether rows of each label are left after a unit is cut too."""
    return all(got[name] + count < total[name] for name, count in unit.items())


def shots_per_class(class_ids: Int64[np.ndarray, " n"], shots: int, seed: int) -> Rows:
    """Sorted rows: `shots` of each class, or all of a class that has fewer. Rows of class -1 are unlabelled.

    For one seed, fewer shots are a subset of more.
    """
    return _first_of_each(class_ids, seed, lambda _: shots)


def label_fraction(class_ids: Int64[np.ndarray, " n"], fraction: float, seed: int) -> Rows:
    """Sorted rows: round(fraction n_class), at least one, of each class; -1 is unlabelled; nested for one seed."""
    return _first_of_each(class_ids, seed, lambda count: max(1, round(fraction * count)))


def _place(key: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}/{key}".encode("utf-8", "surrogateescape")).digest()


def _share(count: int, fraction: float) -> int:
    return min(max(1, round(fraction * count)), count - 1) if fraction > 0 else 0


def _first_of_each(class_ids: Int64[np.ndarray, " n"], seed: int, wanted: Callable[[int], int]) -> Rows:
    chosen = [np.zeros(0, np.int64)]
    for class_id in np.unique(class_ids[class_ids >= 0]):
        rows = np.flatnonzero(class_ids == class_id)
        chosen.append(rows[permutation(len(rows), seed, int(class_id))[: wanted(len(rows))]])
    return np.sort(np.concatenate(chosen))
