"""All that may be wrong with some images, as one table of findings and one of what to keep."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from twofold.curation.duplicates import COPY, Duplicates, find_alike, find_copies
from twofold.curation.embedded import Embedded
from twofold.curation.leaks import LeakEffect, effect_of_leaks, leaked_rows
from twofold.curation.odd_images import OffTopic, find_blank, find_cut_off, find_off_topic
from twofold.curation.suspect_labels import SuspectLabels, find_suspect_labels
from twofold.curation.tables import write_csv

KINDS = {  # what one and several are called, in the order in which they are told
    "copy": ("copy of another image", "copies of another image"),
    "leak": ("test image with a copy in train", "test images with a copy in train"),
    "blank": ("blank image", "blank images"),
    "cut off": ("image that looks cut off", "images that look cut off"),
    "off topic": ("image far from all others", "images far from all others"),
    "label": ("suspect label", "suspect labels"),
    "unlikely label": ("unlikely label (ranked, not judged)", "unlikely labels (ranked, not judged)"),
    "alike": ("image very near another one for the encoder", "images very near another one for the encoder"),
}
DROPPED = ("copy", "blank", "cut off")  # kinds that keep.csv leaves out


@dataclass(frozen=True, kw_only=True)
class Flaw:
    """One finding about one image."""

    kind: str  # copy, leak, alike, blank, cut off, off topic, label or unlikely label
    code: str
    row: int
    other: int | None = None  # the image that it is like
    score: float | None = None  # likeness, cosine, distance or margin
    suggestion: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Cleaning:
    """What was found; without embeddings `alike`, `off_topic`, `suspects` and `leak_effect` are None."""

    paths: Sequence[str]
    labels: Sequence[str | None]
    splits: Sequence[str]
    classes: Sequence[str]
    copies: Duplicates
    alike: Duplicates | None
    blank: Int64[np.ndarray, " b"]
    cut_off: Int64[np.ndarray, " c"]
    off_topic: OffTopic | None
    suspects: SuspectLabels | None
    leak_effect: LeakEffect | None

    @cached_property
    def leaks(self) -> Int64[np.ndarray, " k"]:
        """Rows of test with a copy in train."""
        return leaked_rows(self.copies.groups, self.splits)

    @cached_property
    def flaws(self) -> list[Flaw]:
        """Every finding: copies by group, then the rest, the worst first within each kind."""
        leaked = set(self.leaks.tolist())
        flaws = []
        for group in self.copies.groups:
            first, *others = self._in_order(group)
            for row in others:
                labels = {self.labels[row], self.labels[first]} - {None}
                note = "another label than its copy" if len(labels) > 1 else ""
                flaws.append(Flaw(kind="copy", code="TF080", row=row, other=first, suggestion=note))
            flaws += [Flaw(kind="leak", code="TF081", row=row, other=None) for row in group if row in leaked]
        flaws += [Flaw(kind="blank", code="TF044", row=row) for row in self.blank.tolist()]
        flaws += [Flaw(kind="cut off", code="TF082", row=row) for row in self.cut_off.tolist()]
        if self.off_topic is not None:
            flaws += [
                Flaw(kind="off topic", code="TF083", row=row, score=float(self.off_topic.distance[row]))
                for row in self.off_topic.rows.tolist()
            ]
        if self.suspects is not None:
            kind, code = ("label", "TF084") if self.suspects.judged else ("unlikely label", "TF086")
            doubts = zip(self.suspects.rows, self.suspects.suggested, self.suspects.margin, strict=True)
            flaws += [
                Flaw(kind=kind, code=code, row=int(row), score=float(margin), suggestion=self.classes[name])
                for row, name, margin in doubts
            ]
        if self.alike is not None:
            known = {tuple(pair) for pair in self._copied_pairs()}
            pairs = zip(self.alike.pairs.tolist(), self.alike.likeness.tolist(), strict=True)
            flaws += [
                Flaw(kind="alike", code="TF085", row=second, other=first, score=cosine)
                for (first, second), cosine in pairs
                if cosine >= self.alike.threshold and (first, second) not in known
            ]
        return flaws

    def rethreshold(self, copies: float) -> "Cleaning":
        """The same with another threshold for copies; the effect of leaks stays that of the first."""
        return replace(self, copies=self.copies.rethreshold(copies))

    def counts(self) -> dict[str, int]:
        """Images by kind of finding."""
        rows: dict[str, set[int]] = {}
        for flaw in self.flaws:
            rows.setdefault(flaw.kind, set()).add(flaw.row)
        return {kind: len(some) for kind, some in rows.items()}

    def sentences(self) -> list[str]:
        """The counts for people, one kind of finding each."""
        counts = self.counts()
        return [f"{counts[kind]:,} {KINDS[kind][counts[kind] > 1]}" for kind in KINDS if counts.get(kind)]

    def to_csv(self, path: Path | str) -> Path:
        """Write the findings. Raises TwofoldError as `write_csv` does."""
        return write_csv(Path(path), self.findings_table())

    def findings_table(self) -> dict[str, list[object]]:
        """The columns of findings.csv."""
        flaws = self.flaws
        return {
            "kind": [flaw.kind for flaw in flaws],
            "code": [flaw.code for flaw in flaws],
            "path": [self.paths[flaw.row] for flaw in flaws],
            "label": [self.labels[flaw.row] for flaw in flaws],
            "split": [self.splits[flaw.row] for flaw in flaws],
            "other": [None if flaw.other is None else self.paths[flaw.other] for flaw in flaws],
            "score": [flaw.score for flaw in flaws],
            "suggestion": [flaw.suggestion or None for flaw in flaws],
        }

    def keep_table(self) -> dict[str, list[object]]:
        """The columns of keep.csv: every image, whether to keep it, and why not. Of copies one stays, test's first."""
        reasons: dict[int, str] = {}
        for flaw in self.flaws:
            if flaw.kind in DROPPED:
                reasons.setdefault(flaw.row, flaw.kind)
        rows = range(len(self.paths))
        return {
            "path": list(self.paths),
            "keep": ["no" if row in reasons else "yes" for row in rows],
            "reason": [reasons.get(row) for row in rows],
        }

    def _in_order(self, group: Sequence[int]) -> list[int]:
        """A copy in test stays rather than one in train: the training images are more."""
        return sorted(group, key=lambda row: (self.splits[row] != "test", row))

    def _copied_pairs(self) -> list[list[int]]:
        return self.copies.pairs[self.copies.likeness >= self.copies.threshold].tolist()


def clean_pixels(
    thumbs: UInt8[np.ndarray, "n s s 3"],
    paths: Sequence[str],
    labels: Sequence[str | None],
    splits: Sequence[str],
    *,
    threshold: float = COPY,
) -> Cleaning:
    """What pixels alone show: copies, leaks, blank and cut-off images. Raises TwofoldError as `find_copies` does."""
    return Cleaning(
        paths=paths,
        labels=labels,
        splits=splits,
        classes=(),
        copies=find_copies(thumbs, paths, threshold=threshold),
        alike=None,
        blank=find_blank(thumbs),
        cut_off=find_cut_off(thumbs),
        off_topic=None,
        suspects=None,
        leak_effect=None,
    )


def clean_embedded(
    thumbs: UInt8[np.ndarray, "n s s 3"], embedded: Embedded, *, threshold: float = COPY, cosine: float | None = None
) -> Cleaning:
    """The same and what embeddings show: alike and off-topic images, suspect labels, what leaks do to the accuracy.

    Raises TwofoldError as `find_copies` and `find_alike` do.
    """
    near = embedded.neighbours
    copies = find_copies(thumbs, embedded.paths, near=near, threshold=threshold)
    leaked = leaked_rows(copies.groups, embedded.splits)
    return Cleaning(
        paths=embedded.paths,
        labels=embedded.labels,
        splits=embedded.splits,
        classes=embedded.classes,
        copies=copies,
        alike=find_alike(near, embedded.paths, threshold=cosine),
        blank=find_blank(thumbs),
        cut_off=find_cut_off(thumbs),
        off_topic=find_off_topic(near),
        suspects=find_suspect_labels(embedded.h, embedded.class_ids, groups=embedded.groups)
        if len(embedded.classes) > 1
        else None,
        leak_effect=effect_of_leaks(embedded, leaked),
    )
