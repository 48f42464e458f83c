"""The panels and the claims of a study as tables: Markdown for people's documents, plain lines for the terminal."""

import html
from collections.abc import Iterator, Sequence

from twofold.evaluation.intervals import clear_by_chance
from twofold.studies.engine.claim import NOT_TESTABLE, REPRODUCED
from twofold.studies.engine.spread import AT_MOST, IMAGES_AND_SEEDS, SEEDS
from twofold.studies.show.places import Record, by_place, has_paper, is_measured
from twofold.studies.show.wording import here, interval, label, measured, printed

COVERED = {
    IMAGES_AND_SEEDS: "other test images and other seeds",
    AT_MOST: "other seeds and other test images, these at the most that they can matter: which of them were right is "
    "not recorded",
    SEEDS: "other seeds alone",
}


def study_markdown(record: Record, *, figure: str = "figure.svg", heading: str = "#") -> str:
    """The whole study: question, command, claims, `figure` (a path as seen from the document) and panels."""
    data, count = record["data"], len(record["cells"])
    pictures = f"{markdown(data['name'])} ({data['train']:,} to train on, {data['test']:,} to test on)"
    cells = f"{count} cells" if record["finished"] else f"{count} of {record['cells_planned']} cells, not finished"
    blocks = [
        [f"{heading} Study: {markdown(record['study'])}"],
        [f"**{markdown(record['asks'])}** {markdown(record['paper'])}"],
        ["```sh", record["command"], "```"],
        [f"Measured on {pictures}: {cells}."],
        *([claims_markdown(record["claims"])] if record["claims"] else []),
        [f"![{markdown(record['asks'])}]({figure})"],
        *[panel_markdown(panel) for panel in record["panels"]],
        *([[f"- {markdown(note)}" for note in record["notes"]]] if record["notes"] else []),
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def study_lines(record: Record) -> list[str]:
    """The same for the terminal, without what was said when the study began."""
    lines = [line for panel in record["panels"] for line in [*panel_lines(panel), ""]]
    return [*lines, *record["notes"], *claim_lines(record["claims"])]


def panel_markdown(panel: Record) -> list[str]:
    """Title, table and how to read it; the paper's own figures are rows in italics, or a column beside a single one."""
    lines = [f"**{markdown(panel['title'])}**", "", *_head(_headings(panel))]
    lines += [
        markdown_row(f"*{markdown(cell)}*" if by_paper and cell else markdown(cell) for cell in row)
        for by_paper, row in _rows(panel)
    ]
    return [*lines, "", markdown(" ".join(reading(panel)))]


def claims_markdown(claims: Sequence[Record]) -> list[str]:
    """A row a claim; every comparison of those that have several; reasons for a result that is not the paper's."""
    lines = _head(["claim", "paper", "here", "95 % interval", "seeds", "verdict"])
    for claim in claims:
        texts = (claim["claim"], claim["paper"], here(claim), interval(claim), str(claim["seeds"] or ""))
        lines.append(markdown_row([*map(markdown, texts), f"**{label(claim)}**"]))
    reasons = [f"- {markdown(claim['claim'].rstrip('.'))}: {markdown(claim['why_not'])}" for claim in explained(claims)]
    chance = by_chance(claims)
    lines += ["", *chance] if chance else []
    return [*lines, *_comparisons(claims), *(["", *reasons] if reasons else []), *_unchecked(claims)]


def by_chance(claims: Sequence[Record]) -> list[str]:
    """How many of the claims that could be tested would be decided if nothing differed at all; of one nothing."""
    asked = sum(claim["verdict"] != NOT_TESTABLE and claim["low"] is not None for claim in claims)
    if asked < 2:
        return []
    return [
        f"Each verdict is by 95 % intervals: if nothing differed at all, about {clear_by_chance(asked)} of the {asked} "
        "claims that could be tested would still be called reproduced or contradicted."
    ]


def _comparisons(claims: Sequence[Record]) -> list[str]:
    """Every comparison of the claims that rest on several: which one decided is said."""
    rows = [
        markdown_row([*map(markdown, (claim["claim"], *_compared(claim, one))), one["verdict"]])
        for claim in claims
        if len(claim["outcomes"]) > 1
        for one in claim["outcomes"]
    ]
    head = _head(["claim", "comparison", "here", "95 % interval", "seeds", "outcome"])
    return ["", "Every comparison of the claims that rest on several:", "", *head, *rows] if rows else []


def _compared(claim: Record, one: Record) -> tuple[str, str, str, str]:
    decided = " (decides)" if one["name"] == claim["decided_by"] else ""
    return f"{one['name']}{decided}", here(one), interval(one), str(one["seeds"] or "")


def _unchecked(claims: Sequence[Record]) -> list[str]:
    """What the rule of "not testable here" could not look at, and of which claims."""
    every = dict.fromkeys(sentence for claim in claims for sentence in claim["unchecked"])
    lines = []
    for sentence in every:
        of = [claim["claim"].rstrip(".") for claim in claims if sentence in claim["unchecked"]]
        about = "" if len(of) == len(claims) else f" ({'; '.join(of)})"
        lines.append(f"- {markdown(sentence.rstrip('.') + about)}.")
    return ["", *lines] if lines else []


def panel_lines(panel: Record) -> list[str]:
    """The panel in columns."""
    rows = [_headings(panel), *(row for _, row in _rows(panel))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [panel["title"], *(f"  {line}".rstrip() for line in lines), *(f"  {line}" for line in reading(panel))]


def claim_lines(claims: Sequence[Record]) -> list[str]:
    """The verdict first."""
    lines = []
    for claim in claims:
        of = f"95 % interval {interval(claim)}, {claim['seeds']} seeds" if claim["low"] is not None else interval(claim)
        found = f"{here(claim)} ({of})" if of else here(claim)
        lines.append(f"{label(claim):<17} {claim['claim'].rstrip('.')}: {found}; the paper: {claim['paper']}")
        notes = [claim["why_not"]] if explained([claim]) else []
        lines += [f"{'':<17} {note}" for note in [*notes, *claim["unchecked"]]]
    return [*lines, *by_chance(claims)]


def explained(claims: Sequence[Record]) -> list[Record]:
    """The claims that were measured, did not come out as in the paper, and have a reason to be given."""
    return [
        claim
        for claim in claims
        if claim["verdict"] != REPRODUCED and claim["difference"] is not None and claim["why_not"]
    ]


def reading(panel: Record) -> list[str]:
    """Sentences on what the figures of a panel are."""
    unit = "Per cent" if panel["unit"] == "%" else "Nats"
    sentences = [f"{unit}; mean \u00b1 half of the 95 % interval (number of seeds)."]
    if not is_measured(panel):
        sentences = ["Nothing is measured yet."]
    elif all(place["low"] is None for place in panel["places"]):
        sentences = [f"{unit}; one seed, so no interval."]
    else:
        sentences.append(_coverage(panel))
    source = f": {panel['paper_source']}" if panel["paper_source"] else "'s own figures"
    return [*sentences, *([f"The paper{source}."] if has_paper(panel) else [])]


def _coverage(panel: Record) -> str:
    """What the intervals of a panel are about; where they differ, of which columns, or else of which rows."""
    covered = [over for over in COVERED if any(place["over"] == over for place in panel["places"])]
    if len(covered) == 1:
        return f"The interval covers {COVERED[covered[0]]}."
    for line, before in (("column", "Under"), ("row", "Beside")):
        of = {over: [place[line] for place in panel["places"] if place["over"] == over] for over in covered}
        if len(set().union(*of.values())) == sum(len(set(names)) for names in of.values()):
            return " ".join(
                f"{before} {', '.join(dict.fromkeys(names))} the interval covers {COVERED[over]}."
                for over, names in of.items()
            )
    return f"The interval covers {', or '.join(COVERED[over] for over in covered)}."


def markdown(text: str) -> str:
    """Text that stands in a table of Markdown as it is."""
    return html.escape(" ".join(text.split()), quote=False).replace("|", r"\|")


def markdown_row(cells: Sequence[str] | Iterator[str]) -> str:
    """A line of a table, of cells that are Markdown already."""
    return "| " + " | ".join(cells) + " |"


def _head(headings: Sequence[str]) -> list[str]:
    return [markdown_row(map(markdown, headings)), "|---" * len(headings) + "|"]


def _headings(panel: Record) -> list[str]:
    beside = ["paper"] if _is_beside(panel) else []
    return [panel["row_title"], *panel["columns"], *beside]


def _rows(panel: Record) -> Iterator[tuple[bool, list[str]]]:
    """(whether these are the paper's figures, the texts of the row with its name)."""
    places = by_place(panel)
    for row in panel["rows"]:
        own = [places.get((row, column)) for column in panel["columns"]]
        ours = [measured(place, panel["unit"]) if place else "" for place in own]
        paper = [printed(place["paper"]) if place else "" for place in own]
        yield False, [row, *ours, *(paper if _is_beside(panel) else [])]
        if any(paper) and not _is_beside(panel):
            yield True, ["paper", *paper]


def _is_beside(panel: Record) -> bool:
    """Whether the paper's figures are a column, where there is one of ours; otherwise they are rows below ours."""
    return has_paper(panel) and len(panel["columns"]) == 1
