"""Which images serve what: pure functions of paths, labels and a seed.

The order behind a cut comes from random bits and hashes whose streams never change, so a cut made today can be made
again with any later version of numpy.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence

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
    hash of (seed, key), so a smaller fraction cuts a subset, and adding images moves few of the others.
    """
    groups: dict[str | None, list[int]] = {}
    for row, label in enumerate(labels if labels is not None else [None] * len(keys)):
        groups.setdefault(label, []).append(row)
    is_cut = np.zeros(len(keys), bool)
    places = list(map(_places(seed), keys))
    for rows in groups.values():
        line = sorted(rows, key=places.__getitem__)
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
    line = [units[unit] for unit in sorted(units, key=_places(seed))]
    wanted: dict[Hashable, int] = {name: _share(count, fraction) for name, count in Counter(names).items()}
    is_cut = np.zeros(len(keys), bool)
    is_cut[_take_whole(line, names, wanted, keeps_some=True)] = True
    return np.flatnonzero(~is_cut), np.flatnonzero(is_cut)


def _take_whole(
    units: Sequence[Sequence[int]], names: Sequence[Hashable], wanted: Mapping[Hashable, int], *, keeps_some: bool
) -> list[int]:
    """The rows of some units, in order taken whole while that brings the count of each name nearer to the wanted one.

    Of each name that is wanted at least one unit is taken, where there is one; with `keeps_some` not all of any name.
    """
    held = [Counter(names[row] for row in unit) for unit in units]
    total: Counter[Hashable] = Counter(names)
    holders: dict[Hashable, list[int]] = {}
    for unit, counts in enumerate(held):
        for name in counts:
            holders.setdefault(name, []).append(unit)
    taken: set[int] = set()
    got: Counter[Hashable] = Counter()

    def may_take(unit: int) -> bool:
        rest_is_left = all(got[name] + count < total[name] for name, count in held[unit].items())
        return unit not in taken and (rest_is_left or not keeps_some)

    def take(unit: int) -> None:
        taken.add(unit)
        got.update(held[unit])

    for unit, counts in enumerate(held):
        nearer = (abs(wanted[name] - got[name]) - abs(wanted[name] - got[name] - n) for name, n in counts.items())
        if sum(nearer) > 0 and may_take(unit):
            take(unit)
    for name in sorted(wanted, key=str):
        if wanted[name] and not got[name]:
            first = next((unit for unit in holders[name] if may_take(unit)), None)
            if first is not None:
                take(first)
    return [row for unit in taken for row in units[unit]]


def shots_per_class(
    class_ids: Int64[np.ndarray, " n"], shots: int, seed: int, groups: Int64[np.ndarray, " n"] | None = None
) -> Rows:
    """Sorted rows: `shots` of each class, or all of a class that has fewer. Rows of class -1 are unlabelled.

    For one seed, fewer shots are a subset of more. Of one of the `groups` (numbers) no second row is drawn before each
    other group has given one.
    """

    def first(rows: Rows, order: Rows) -> Rows:
        return (order if groups is None else order[_turns(groups[rows[order]])])[:shots]

    return _of_each(class_ids, seed, first)


def label_fraction(
    class_ids: Int64[np.ndarray, " n"], fraction: float, seed: int, groups: Int64[np.ndarray, " n"] | None = None
) -> Rows:
    """Sorted rows: round(fraction n_class), at least one, of each class; -1 is unlabelled; nested for one seed.

    Of one of the `groups` (numbers) all rows with a label are drawn or none; the counts come as near as that allows.
    """
    if groups is None:
        return _of_each(class_ids, seed, lambda rows, order: order[: max(1, round(fraction * len(rows)))])
    labelled = np.flatnonzero(class_ids >= 0)
    numbers = np.unique(groups[labelled])
    line = [labelled[groups[labelled] == numbers[place]].tolist() for place in permutation(len(numbers), seed)]
    counts = Counter(class_ids[labelled].tolist())
    wanted = {name: max(1, round(fraction * count)) for name, count in counts.items()}
    return np.sort(np.array(_take_whole(line, class_ids.tolist(), wanted, keeps_some=False), np.int64))


def _turns(groups: Int64[np.ndarray, " n"]) -> Rows:
    """Places in an order in which the first of each group comes before all seconds, and so on."""
    seen: Counter[int] = Counter()
    turns = []
    for group in groups.tolist():
        turns.append(seen[group])
        seen[group] += 1
    return np.argsort(np.array(turns, np.int64), kind="stable")


def _places(seed: int) -> Callable[[str], bytes]:
    """Of a key its place in line: SHA-256 over the seed and the key."""
    begun = hashlib.sha256(f"{seed}/".encode())

    def place(key: str) -> bytes:
        state = begun.copy()
        state.update(key.encode("utf-8", "surrogateescape"))
        return state.digest()

    return place


def _share(count: int, fraction: float) -> int:
    return min(max(1, round(fraction * count)), count - 1) if fraction > 0 else 0


def _of_each(class_ids: Int64[np.ndarray, " n"], seed: int, chosen: Callable[[Rows, Rows], Rows]) -> Rows:
    """The rows of all classes for which `chosen` (rows of a class, a random order of their places) gives the places."""
    parts = [np.zeros(0, np.int64)]
    for class_id in np.unique(class_ids[class_ids >= 0]):
        rows = np.flatnonzero(class_ids == class_id)
        parts.append(rows[chosen(rows, permutation(len(rows), seed, int(class_id)))])
    return np.sort(np.concatenate(parts))
