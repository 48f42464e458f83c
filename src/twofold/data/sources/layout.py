"""What the folders around images mean: which are splits, which are classes, which only wrap the others.

wrapping... / [split / [wrapping...]] / CLASS / ... / image
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twofold.data.findings import Finding
from twofold.data.records import Records
from twofold.data.sources.layout_findings import (
    DATE,
    KINDS_OF_FILES,
    MASKS,
    Folders,
    are_of_a_camera,
    hold,
    is_,
    mask_files,
    names_of,
    shared_below,
    strays,
)
from twofold.data.sources.names import (
    is_no_label,
    is_unlabelled_folder,
    label_of,
    split_named,
)
from twofold.data.sources.top_folders import Parts, read_parts

_STRAY = 0.1  # a folder wraps the rest where at most this share of the images lies beside it


@dataclass(frozen=True)
class Layout:
    """Records in the order of the paths, and what people should know about how they came about."""

    records: Records
    findings: list[Finding]


def read_layout(paths: Sequence[str]) -> Layout:
    """The split and the label of each image from the folders of its path (names parted by "/").

    Folders that hold all others are passed through. The folders below are splits if they are called so, or if they
    hold the same sub-folders; else they are classes. Below a split, again passing through what wraps all the rest, the
    first folder is the class. Where there are not two classes, nothing has a label. Images outside have no label.
    """
    place: dict[str, int] = {}  # all below is asked of each folder once, however many images it holds
    at = [place.setdefault(path.rpartition("/")[0], len(place)) for path in paths]
    folders, counts = [_names_in(folder) for folder in place], list(Counter(at).values())
    wrapping = _wrapping(folders, counts, _is_split)
    inside = [_below(wrapping, names) for names in folders]  # None: beside a folder that wraps the rest
    inside = _below_labelled(inside)
    parts = read_parts([names for names in inside if names is not None])
    inside = _without(inside, parts.again)
    splits, rest = _take_splits(inside, counts, parts)
    again = _same_names_again([names for names in rest if names])
    rest = _without(rest, again.again)
    labels, said = _labels(rest, counts)
    findings = [*parts.findings, *again.findings, *said, *mask_files(paths)]
    if parts.split_of or parts.inner or any(labels):
        where = "splits" if parts.split_of or parts.inner else "classes"
        findings += strays([path for path, one in zip(paths, at, strict=True) if not inside[one]], where)
    findings += shared_below(rest) if any(labels) and not parts.tops else []
    return Layout(Records(list(paths), [labels[one] for one in at], [splits[one] for one in at]), findings)


def _names_in(folder: str) -> Folders:
    return tuple(folder.split("/")) if folder else ()


def _wrapping(folders: Sequence[Folders], counts: Sequence[int], is_kept: Callable[[str, set[str]], bool]) -> Folders:
    """The folders that all images but a few strays lie in, up to the first that `is_kept` (its name, its folders).

    `counts`: images of each folder.
    """
    wrapping: Folders = ()
    while True:
        pairs = zip(folders, counts, strict=True)
        held = [(names, count) for one, count in pairs if (names := _below(wrapping, one)) is not None]
        inside = [names for names, _ in held]
        tops = {names[0] for names in inside if names}
        strays = sum(count for names, count in held if not names)
        if len(tops) != 1 or strays > _STRAY * sum(count for _, count in held):
            return wrapping
        (only,) = tops
        if is_unlabelled_folder(only) or is_kept(only, {names[1] for names in inside if len(names) > 1}):
            return wrapping
        wrapping += (only,)


def _is_split(name: str, below: set[str]) -> bool:
    """Whether a folder is a split itself, and not one that holds splits."""
    return split_named(name) is not None and len({split_named(one) for one in below} - {None}) < 2


def _below(wrapping: Folders, names: Folders) -> Folders | None:
    return names[len(wrapping) :] if names[: len(wrapping)] == wrapping else None


def _below_labelled(inside: list[Folders | None]) -> list[Folders | None]:
    """Below the one folder beside those of images without a label, such as labelled/, where it holds folders alone."""
    while True:
        tops = {names[0] for names in inside if names}
        labelled = [top for top in tops if not is_unlabelled_folder(top)]
        if len(labelled) != 1 or len(tops) == 1 or (labelled[0],) in inside:
            return inside
        if _is_split(labelled[0], {names[1] for names in inside if names and names[0] == labelled[0]}):
            return inside
        inside = _without(inside, frozenset(labelled))


def _same_names_again(inside: Sequence[Folders]) -> Parts:
    """CLASS/image and augmented/CLASS/image: a folder of two or more folders that are called as those beside it."""
    direct = {names[0] for names in inside if len(names) == 1}
    below: dict[str, set[str]] = {}
    for names in inside:
        below.setdefault(names[0], set()).update(names[1:2])
    again = {
        top: shared
        for top, names in below.items()
        if top not in direct and len(shared := (names & below.keys()) - {top}) >= max(2, len(names) / 2)
    }
    if not again or len(below) - len(again) < 2:
        return Parts({})
    names_held = names_of(sorted(set[str]().union(*again.values())))
    text = f"{names_of(sorted(again))} {hold(again)} folders that are called as those next to it ({names_held}), and so"
    finding = Finding("TF006", f"{text} {is_(again)} no class but {hold(again)} more of these")
    return Parts({}, again=frozenset(again), findings=(finding,))


def _without(inside: Sequence[Folders | None], passed: frozenset[str]) -> list[Folders | None]:
    """Below the folders that are passed through."""
    return [names[1:] if names and names[0] in passed else names for names in inside]


def _take_splits(
    inside: Sequence[Folders | None], counts: Sequence[int], parts: Parts
) -> tuple[list[str | None], list[Folders | None]]:
    """Each folder's split, and the folders that are left to tell its class: None where they cannot."""
    splits: list[str | None] = []
    rest: list[Folders | None] = []
    has_splits = bool(parts.split_of) or parts.inner
    for names in inside:
        split, left = None, names
        if names and parts.inner and len(names) > 1 and (split := split_named(names[1])):
            left = names[2:] if names[0] in parts.tops else (names[0], *names[2:])
        elif names and parts.inner and names[0] not in parts.tops:
            left = names
        elif names and names[0] in parts.split_of:
            split, left = parts.split_of[names[0]], names[1:]
            left = (parts.class_of[names[0]], *left) if parts.class_of else left
        elif has_splits:
            left = None
        splits.append(split or ("train" if has_splits else None))
        rest.append(left)
    if not parts.class_of:
        _unwrap_each(inside, counts, rest, parts.split_of)
    return splits, rest


def _unwrap_each(
    inside: Sequence[Folders | None], counts: Sequence[int], rest: list[Folders | None], split_of: dict[str, str]
) -> None:
    """Pass through the folders that wrap all of one split, unless another split has a class of that name."""
    of_top: dict[str, list[int]] = {}
    for row, names in enumerate(inside):
        if names and names[0] in split_of:
            of_top.setdefault(names[0], []).append(row)
    held = {top: {names[0] for row in rows if (names := rest[row])} for top, rows in of_top.items()}
    known = frozenset().union(*(names for names in held.values() if len(names) > 1))
    for rows in of_top.values():
        own = [rest[row] or () for row in rows]
        wrapping = _wrapping(own, [counts[row] for row in rows], lambda name, _: name in known)
        for row in rows:
            rest[row] = _below(wrapping, rest[row] or ())


def _labels(rest: Sequence[Folders | None], counts: Sequence[int]) -> tuple[list[str | None], list[Finding]]:
    names = [one[0] if one else None for one in rest]
    none = sorted({name for name in names if name and is_no_label(name)})
    labels = [label_of(name or "") for name in names]
    classes = sorted({label for label in labels if label})
    findings = []
    if none:
        count = sum(images for name, images in zip(names, counts, strict=True) if name in none)
        findings.append(Finding("TF009", f"{names_of(none)} {is_(none)} read as no label ({count:,} images)"))
    if len(classes) < 2:
        return [None] * len(labels), findings
    kinds = {name.lower() for name in classes}
    if kinds <= KINDS_OF_FILES and kinds & MASKS and kinds - MASKS:
        masks = [name for name in classes if name.lower() in MASKS]
        others = sorted(set(classes) - set(masks))
        text = f"{names_of(masks)} next to {names_of(others)} {is_(masks)} read as masks by name"
        return [None] * len(labels), [*findings, Finding("TF019", f"{text}, and trained on without a label")]
    if are_of_a_camera(classes):
        text = f"{names_of(classes)} {is_(classes)} a camera's or a phone's, and no classes"
        return [None] * len(labels), [*findings, Finding("TF016", text)]
    if all(map(DATE.fullmatch, classes)):
        findings.append(Finding("TF017", f"{names_of(classes)} look like dates, and are read as classes"))
    return labels, findings
