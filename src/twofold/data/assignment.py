"""Which split each image belongs to in the end, and which group: what the data say, else what is decided here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from twofold.data.findings import Finding
from twofold.data.record import Record
from twofold.data.records import Records
from twofold.data.splits import cut_fraction, cut_groups
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe

FEW_LABELLED = 1_000  # fewer labelled images are cross-validated: a fifth of them tells little


@dataclass(frozen=True)
class Assignment:
    """The split of each record, where the test split comes from (own, validation, cut or None), and what to say."""

    splits: list[str]
    test_from: str | None
    findings: list[Finding]


def assign_splits(records: Sequence[Record], recipe: DataRecipe) -> Assignment:
    """Images without a split are trained on. Where no test image has a label, labels are tested on others.

    These are the labelled validation images, where there are any, else a share of the labelled training images of each
    class, cut off by the data seed without dividing a group: images without a label go with their group. Data of fewer
    than two classes are left as they are.
    """
    records = Records.of(records)
    splits = [split or "train" for split in records.splits]
    labelled = {split: _rows(records, splits, split) for split in ("train", "validation", "test")}
    train = labelled["train"]
    findings = _about_labels(splits, labelled)
    if labelled["test"]:
        return Assignment(splits, "own", findings)
    if len({records.labels[row] for row in train}) < 2:
        return Assignment(splits, "own" if "test" in splits else None, findings)
    if labelled["validation"]:
        splits = ["test" if split == "validation" else split for split in splits]
        text = f"no labelled test split: the {len(labelled['validation']):,} labelled validation images are the test"
        return Assignment(splits, "validation", [*findings, Finding("TF002", text)])
    if recipe.test_fraction == 0:
        return Assignment(splits, None, findings)
    trained = records if len(train) == len(records) else records.take(train)
    cut = _cut(trained, recipe)
    for place in cut:
        splits[train[place]] = "test"
    followed = _of_the_same_groups(records, splits, {records.groups[train[place]] for place in cut} - {None})
    for row in followed:
        splits[row] = "test"
    whole = ", in whole groups" if any(trained.groups) else ""
    if followed:
        whole += f" with their {len(followed):,} images without a label"
    return Assignment(splits, "cut" if cut else None, [*findings, *_about_cut(len(cut), len(train), recipe, whole)])


def group_by(records: Sequence[Record], pattern: str | None) -> Records:
    """Records whose group is what the pattern finds in their path: its first parenthesis, or all that matches.

    A path in which nothing matches keeps the group that it has. Raises TwofoldError where nothing matches in any.
    """
    records = Records.of(records)
    if pattern is None:
        return records
    matches = [re.search(pattern, path) for path in records.paths]
    if not any(matches):
        raise TwofoldError(
            f"--group-by {pattern!r} matches none of {len(records):,} paths, the first of which is "
            f"'{records.paths[0]}'. Correct the pattern."
        )
    pairs = zip(records.groups, matches, strict=True)
    groups = [match[1 if match.re.groups else 0] if match else own for own, match in pairs]
    return Records(records.paths, records.labels, records.splits, groups)


def _rows(records: Records, splits: Sequence[str], split: str) -> list[int]:
    if split not in splits:
        return []
    pairs = zip(splits, records.labels, strict=True)
    return [row for row, (own, label) in enumerate(pairs) if own == split and label is not None]


def _of_the_same_groups(records: Records, splits: Sequence[str], groups: set[str | None]) -> list[int]:
    """Rows of the training images that belong to one of `groups`."""
    if not groups:
        return []
    pairs = zip(splits, records.groups, strict=True)
    return [row for row, (split, group) in enumerate(pairs) if split == "train" and group in groups]


def _cut(train: Records, recipe: DataRecipe) -> list[int]:
    """Places of the training images that become the test split."""
    how = recipe.test_fraction, recipe.data_seed, train.labels
    if any(train.groups):
        return cut_groups(train.paths, train.groups, *how)[1].tolist()
    return cut_fraction(train.paths, *how)[1].tolist()


def _about_cut(count: int, labelled: int, recipe: DataRecipe, whole: str) -> list[Finding]:
    if count == 0:
        return [Finding("TF033", "no test split: none can be cut off, since each class has a single image or group")]
    share = f"{100 * recipe.test_fraction:g} %"
    text = f"no test split: {share} ({count:,} images) cut off as test by seed {recipe.data_seed}{whole}"
    if labelled < FEW_LABELLED:
        text += f"; evaluation cross-validates (under {FEW_LABELLED:,} labelled images)"
    return [Finding("TF001", text)]


def _about_labels(splits: Sequence[str], labelled: dict[str, list[int]]) -> list[Finding]:
    """Unlabelled images where others have labels."""
    if not any(labelled.values()):
        return []
    findings = []
    count = splits.count("train")
    if 0 < len(labelled["train"]) < count:
        text = f"{len(labelled['train']):,} of {count:,} images have a label; pretraining reads all but a test split"
        findings.append(Finding("TF007", text))
    if "test" in splits and not labelled["test"]:
        findings.append(Finding("TF003", f"none of {splits.count('test'):,} test images has a label"))
    return findings
