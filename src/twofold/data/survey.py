"""What somebody's data hold and what was decided about them: said before anything long begins, kept with the run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from twofold.data.assignment import Assignment, assign_splits, group_by
from twofold.data.checks import check_records
from twofold.data.facts import Facts
from twofold.data.findings import Finding
from twofold.data.record import SPLITS, Source, file_of
from twofold.data.records import Records
from twofold.data.sources.listing import extension_of
from twofold.data.store import Quarantined
from twofold.data.traits import PixelFacts
from twofold.recipes.recipe import DataRecipe

_NAMED = 12  # classes that are named
_ORIGINS = {
    "own": "the data's own",
    "validation": "test is the labelled validation images",
    "cut": "test was cut off train",
    None: "no test split",
}


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What is in some data: of all images, but for the `facts`."""

    name: str
    images: int
    unreadable: int | None  # None: not decoded yet
    kinds: dict[str, int]  # ending of the name -> images, the commonest first; empty where images have no file names
    facts: Facts  # of a sample's headers: sizes and colour
    classes: dict[str, int]  # name -> images, by name
    unlabelled: int
    splits: dict[str, int]  # train, validation, test -> images, of those that are there
    test_from: str | None  # as in ImageSet
    groups: int
    findings: tuple[Finding, ...]
    pixels: PixelFacts | None = None  # formats, depths and what was decided about pixels; None: not decoded yet

    def lines(self) -> list[str]:
        """For people: images, labels, splits, groups, then the findings, those that may hurt last."""
        return [f"{self.name}: {self._images()}", *(f"  {line}" for line in (*self._facts(), *self.said()))]

    def said(self) -> list[str]:
        """The findings, one line each: decisions first, then warnings with what to do."""
        return [said_of_finding(finding) for finding in self._in_order()]

    def said_since(self, before: "Survey") -> list[str]:
        """The findings that are not those of `before`, when no file was read; one that it had otherwise says so."""
        codes = {finding.code for finding in before.findings}
        new = [finding for finding in self._in_order() if finding not in before.findings]
        return [
            f"{'without the unreadable files: ' if finding.code in codes else ''}{said_of_finding(finding)}"
            for finding in new
        ]

    def _in_order(self) -> list[Finding]:
        return sorted(self.findings, key=lambda finding: (finding.severity != "info", finding.code))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; `lines` among them."""
        return {
            **asdict(self),
            "findings": [finding.to_dict() for finding in self.findings],
            "lines": self.lines(),
        }

    def _images(self) -> str:
        unreadable = f", {self.unreadable:,} more unreadable" if self.unreadable is not None else ""
        kinds = ", ".join(f"{count:,} x {kind or 'no extension'}" for kind, count in self.kinds.items())
        facts = self.facts
        sides = f"{facts.min_px}" if facts.min_px == facts.max_px else f"{facts.min_px} to {facts.max_px}"
        held = f" ({kinds})" if kinds else ""
        colour = "grey" if facts.channels == 1 else "colour"
        colour = f"{' or '.join(map(str, facts.bands))} bands" if facts.bands else colour
        depth = f"{' and '.join(map(str, facts.bits))} bits, {colour}"
        return f"{self.images:,} images{unreadable}{held}, {', '.join(facts.formats)}, {sides} px, {depth}"

    def _facts(self) -> list[str]:
        if self.classes:
            named = [f"{name} ({count:,})" for name, count in list(self.classes.items())[:_NAMED]]
            more = f" and {len(self.classes) - _NAMED:,} more" if len(self.classes) > _NAMED else ""
            none = f"; {self.unlabelled:,} of {self.images:,} images have none" if self.unlabelled else ""
            labels = f"labels: {len(self.classes):,} classes, {', '.join(named)}{more}{none}"
        else:
            labels = "labels: none"
        splits = ", ".join(f"{split} {count:,}" for split, count in self.splits.items())
        lines = [labels, f"splits: {splits} ({_ORIGINS[self.test_from]})"]
        return [*lines, f"groups: {self.groups:,}"] if self.groups else lines


def said_of_finding(finding: Finding) -> str:
    """One line on a finding: what it is, and, unless it is but a decision, what to do."""
    if finding.severity == "info":
        return f"{finding.text} [{finding.code}]"
    return f"{finding.severity}: {finding.text}. {finding.check.fix} [{finding.code}]"


def survey_of(
    source: Source,
    recipe: DataRecipe,
    *,
    facts: Facts,
    readable: Sequence[int] | None = None,
    quarantine: Sequence[Quarantined] = (),
) -> tuple[Survey, Records, Assignment]:
    """The survey, the records with their groups, and their splits: of all, or of the `readable` ones of a source.

    Raises TwofoldError where the recipe's pattern for groups matches no path.
    """
    records = Records.of(source.records)
    records = group_by(records if readable is None else records.take(readable), recipe.group_by)
    assigned = assign_splits(records, recipe)
    labels = records.label_counts
    kinds = _kinds(records.paths)
    splits = Counter(assigned.splits)
    findings = [*source.findings, *assigned.findings]
    findings += check_records(records, assigned.splits, assigned.test_from, quarantine)
    survey = Survey(
        name=source.name,
        images=len(records),
        unreadable=None if readable is None else len(quarantine),
        kinds=dict(kinds.most_common()) if any(kinds) else {},
        facts=facts,
        classes=dict(sorted(labels.items())),
        unlabelled=len(records) - labels.total(),
        splits={split: splits[split] for split in SPLITS if splits[split]},
        test_from=assigned.test_from,
        groups=len(set(records.groups) - {None}),
        findings=tuple(findings),
    )
    return survey, records, assigned


def _kinds(paths: Sequence[str]) -> Counter[str]:
    """Endings of the files' names; of paths that end plainly each ending as it is written is looked at once."""
    plain = Counter(path[path.rfind(".") :] for path in paths)
    if all(end[:1] == "." and end[1:].isalnum() for end in plain):
        ends = [(end.lower(), count) for end, count in plain.items()]
    else:
        ends = [(extension_of(file_of(path).rpartition("/")[2]), 1) for path in paths]
    kinds = Counter[str]()
    for end, count in ends:
        kinds[end] += count
    return kinds
