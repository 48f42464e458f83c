"""Which folders on top of a data set are splits: by their names, by the names one level down, by what they hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from twofold.data.findings import Finding
from twofold.data.sources.layout_findings import (
    DATE,
    KINDS_OF_FILES,
    MASKS,
    Folders,
    are_of_a_camera,
    hold,
    is_,
    names_of,
)
from twofold.data.sources.names import beside_split, is_unlabelled_folder, split_hinted, split_named, without_split


@dataclass(frozen=True)
class Parts:
    """How the folders on top are read: as classes where `split_of` and `tops` are empty and `inner` is false."""

    split_of: dict[str, str]  # a folder on top -> its split
    tops: frozenset[str] = frozenset()  # folders on top that are neither classes nor splits
    inner: bool = False  # splits lie one level down: below classes, or below `tops`
    again: frozenset[str] = frozenset()  # folders that hold the folders beside them once more: passed through
    class_of: Mapping[str, str] = field(default_factory=dict)  # a folder on top -> its class, beside the split
    findings: tuple[Finding, ...] = ()


def read_parts(inside: Sequence[Folders]) -> Parts:
    """Which of the folders on top are splits: by their names, by the names one level down, by what they hold."""
    below: dict[str, set[str]] = {}
    for names in inside:
        if names:
            below.setdefault(names[0], set()).update(names[1:2])
    tops = [top for top in below if not is_unlabelled_folder(top)]
    named = {top: split for top in tops if (split := split_named(top))}
    hinted = {top: split for top in tops if (split := split_hinted(top))}
    if tops and len(named) == len(tops):
        return Parts(named)
    if _is_cut(named):
        return _with_others(named, tops, below)
    if (classes := _classes_of(hinted, tops, below)) is not None:
        return Parts(hinted, class_of=classes)
    if _is_cut(hinted) and (len(hinted) == len(tops) or _are_alike(hinted, below)):
        return _with_others(hinted, tops, below)
    cut = {top for top in tops if below[top] and all(map(split_named, below[top]))}
    if len(tops) > len(cut) >= len(tops) / 2 and _is_cut(
        {name: split_named(name) or "" for top in cut for name in below[top]}
    ):
        rest = sorted(set(tops) - cut)
        text = (
            f"{names_of(rest)} next to {names_of(sorted(cut))} hold no folders of splits, and so {is_(rest)} trained on"
        )
        return Parts({}, inner=True, findings=(Finding("TF005", text),))
    direct = {names[0] for names in inside if len(names) == 1}
    if len(tops) < 2 or direct & set(tops):
        return Parts({})
    if len(cut) == len(tops):
        return _splits_below(inside, frozenset(tops))
    if all(len(names) == 1 for names in below.values()):  # a folder in each that wraps the rest, such as images/
        below = {top: {names[2] for names in inside if names[0] == top and len(names) > 2} for top in below}
    return _same_below(tops, below, hinted)


def _is_cut(splits: dict[str, str]) -> bool:
    """Whether there is a train split and another one."""
    return "train" in splits.values() and len(set(splits.values())) > 1


def _are_alike(splits: dict[str, str], below: dict[str, set[str]]) -> bool:
    """Whether folders belong together: called alike but for the split, or with a sub-folder that all hold."""
    return len({beside_split(top) for top in splits}) == 1 or bool(set.intersection(*(below[top] for top in splits)))


def _classes_of(splits: dict[str, str], tops: list[str], below: dict[str, set[str]]) -> dict[str, str] | None:
    """The classes of cats_train, dogs_train, cats_test ...: two or more, which train and another split share."""
    if not _is_cut(splits) or len(splits) < len(tops) or any(below.values()):
        return None
    classes = {top: without_split(top) for top in tops}
    held = {split: [classes[top] for top in tops if splits[top] == split] for split in splits.values()}
    if any(len(set(names)) < max(2, len(names)) or "" in names for names in held.values()):
        return None
    return classes if all(len(set(held["train"]) & set(names)) > 1 for names in held.values()) else None


def _with_others(splits: dict[str, str], tops: list[str], below: dict[str, set[str]]) -> Parts:
    """Splits, and folders beside them that are none: these are trained on."""
    again = frozenset(top for top in set(tops) - set(splits) if len(below[top] & set(splits)) > 1)
    if again:
        text = f"{names_of(sorted(again))} next to {names_of(sorted(splits))} {hold(again)} the same splits once more"
        rest = _with_others(splits, sorted(set(tops) - again), below)
        finding = Finding("TF006", f"{text}, and so {is_(again)} read as part of them")
        return replace(rest, again=again, findings=(*rest.findings, finding))
    others = sorted(set(tops) - set(splits))
    if not others:
        return Parts(splits)
    text = f"{names_of(others)} next to {names_of(sorted(splits))} {is_(others)} not a split by name, and so trained on"
    shared = set.union(*(below[top] for top in splits))
    tops_of_classes = frozenset(top for top in others if below[top] & shared and top.lower() not in MASKS)
    return Parts(
        {**splits, **dict.fromkeys(tops_of_classes, "train")}, frozenset(others), findings=(Finding("TF005", text),)
    )


def _splits_below(inside: Sequence[Folders], tops: frozenset[str]) -> Parts:
    """CLASS/train/image, or PART/train/CLASS/image where the folders below the splits are the same in two parts."""
    classes = [{names[2] for names in inside if names[:1] == (top,) and len(names) > 2} for top in sorted(tops)]
    if all(len(one) > 1 for one in classes) and set.intersection(*classes):
        text = f"{names_of(sorted(tops))} hold the same splits and classes, and so are read as parts of the data"
        return Parts({}, tops, inner=True, findings=(Finding("TF006", text),))
    return Parts({}, inner=True)


def _same_below(tops: list[str], below: dict[str, set[str]], hinted: dict[str, str]) -> Parts:
    """Folders on top that hold the same sub-folders are splits; those whose name is none are trained on."""
    shared, all_ = set.intersection(*(below[top] for top in tops)), set.union(*(below[top] for top in tops))
    kinds_of_files = {name.lower() for name in shared} & KINDS_OF_FILES
    are_no_classes = kinds_of_files or all(map(DATE.fullmatch, shared)) or are_of_a_camera(shared | set(tops))
    if len(shared) < 2 or 2 * len(shared) < len(all_) or are_no_classes:
        return Parts({})
    unknown = sorted(set(tops) - set(hinted))
    text = f"{names_of(sorted(tops))} hold the same sub-folders ({names_of(sorted(shared))}), and so are read as splits"
    said = f"{text}; {names_of(unknown)} {is_(unknown)} not a split by name, and so trained on" if unknown else text
    return Parts({**dict.fromkeys(tops, "train"), **hinted}, findings=(Finding("TF006", said),))
