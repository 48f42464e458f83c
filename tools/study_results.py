"""The studies' part of docs/results.md: all verdicts in one table, and a section with a figure for each study."""

from pathlib import Path
from typing import Any

from twofold.report.wording import duration
from twofold.studies.show.figure import draw_study
from twofold.studies.show.table import markdown, markdown_row, study_markdown
from twofold.studies.show.wording import here, interval


def verdicts_table(studies: dict[str, dict[str, Any]]) -> list[str]:
    """A row a claim, the command and the time with the first of each study; nothing where there are no studies."""
    headings = ("study", "claim", "paper", "here", "95 % interval", "verdict", "command", "time")
    rows = [row for record in studies.values() for row in _verdicts(record)]
    if not rows:
        return []
    head = [markdown_row(headings), "|---" * len(headings) + "|"]
    time = "Time: that of all cells, one after the other; processes that share a study divide it."
    return ["## The paper's claims", "", time, "", *head, *rows, ""]


def study_section(name: str, record: dict[str, Any], docs: Path) -> list[str]:
    """The study's tables; its figure is written to docs/NAME-study.svg."""
    figure = f"{name}-study.svg"
    (docs / figure).write_bytes(draw_study(record))
    return [*study_markdown(record, figure=figure, heading="##").splitlines(), ""]


def _verdicts(record: dict[str, Any]) -> list[str]:
    rows = []
    for place, claim in enumerate(record["claims"]):
        texts = (record["study"], claim["claim"], claim["paper"], here(claim), interval(claim))
        made = ("", "") if place else (f"`{record['command']}`".replace("|", r"\|"), duration(record["seconds"]))
        verdict = f"**{claim['verdict']}**" if record["finished"] else "not finished"
        rows.append(markdown_row([*map(markdown, texts), verdict, *made]))
    return rows
