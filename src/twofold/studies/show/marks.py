"""Colours, markers and texts that the figures of all studies share."""

import math
import textwrap

from twofold.studies.show.places import Record, has_paper

INK, SOFT, FAINT, EMPTY = "#1d2126", "#4b525a", "#8d949b", "#ebe9e4"
ACCENT = "#1f5f8b"
LINES = (  # colours that the colour-blind tell apart (Okabe and Ito's, darkened), and dashes that do without
    ("#0072b2", "-"),
    ("#d55e00", "--"),
    ("#009e73", "-."),
    ("#a6518a", ":"),
    ("#8a6d00", (0, (5, 1, 1, 1, 1, 1))),
    ("#3b3b3b", (0, (1, 1))),
    ("#4aa3d9", (0, (8, 2))),
)
MARKERS = "os^DvXP*"  # one more than there are dashes: many lines differ


def plain(text: str, letters: int = 26) -> str:
    """Text that is drawn letter by letter, in lines of at most so many letters; dollars begin no formula."""
    return "\n".join(textwrap.wrap(text, letters)).replace("$", r"\$")


def whiskers(place: Record) -> tuple[float, float]:
    """How far the interval reaches below and above the mean; (0, 0) without one."""
    if place["low"] is None or place["high"] is None:
        return 0.0, 0.0
    return place["mean"] - place["low"], place["high"] - place["mean"]


def is_shown(place: Record | None, key: str) -> bool:
    """Whether "mean" or "paper" is there and a number."""
    return place is not None and place[key] is not None and math.isfinite(place[key])


def axis_title(panel: Record, key: str, letters: int) -> str:
    """Says which of two axes holds ours ("mean") and which the paper's; nothing where there is no paper."""
    if key == "mean":
        return "here" if has_paper(panel) else ""
    source = panel["paper_source"]
    return plain(f"the paper: {source}" if source else "the paper", letters)
