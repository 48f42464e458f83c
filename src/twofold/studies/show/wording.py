"""The numbers of a study as people read them.

A panel's values are in its unit already; those of a claim are as measured: shares in [0, 1], or nats.
"""

import math
from collections import Counter
from collections.abc import Iterable

from twofold.studies.engine.claim import NOT_TESTABLE, VERDICTS
from twofold.studies.show.places import Record

NOT_ASKED = "not asked"
LABELS = (*VERDICTS, NOT_ASKED)
IN_NATS = ("contrast_entropy",)


def number(value: int | float, unit: str) -> str:
    """63.94, "%" -> "63.9"; 4.512, "nats" -> "4.51"."""
    return f"{value:.1f}" if unit == "%" else f"{value:.2f}"


def measured(place: Record, unit: str) -> str:
    """A place of a panel: "63.9 ± 0.4 (3)" over three seeds, "63.9" of one, "" where nothing is measured yet.

    "failed", or "63.9 ± 0.4 (3; 1 failed)", where nothing was learnt with some seeds.
    """
    half, failed = half_width(place, unit), place.get("failed", 0)
    if place["mean"] is None:
        return "failed" if failed else ""
    seeds = [str(place["seeds"])] if half else []
    about = "; ".join([*seeds, *([f"{failed} failed"] if failed else [])])
    return number(place["mean"], unit) + (f" {half}" if half else "") + (f" ({about})" if about else "")


def half_width(place: Record, unit: str) -> str:
    """ "± 0.4": half of the 95 % interval, "± under 0.1" where it would be 0.0; "" where there is none."""
    if place["low"] is None:
        return ""
    shown = number((place["high"] - place["low"]) / 2, unit)
    return f"\u00b1 {shown}" if float(shown) > 0 else f"\u00b1 under {shown[:-1]}1"


def printed(value: int | float | None) -> str:
    """A figure of the paper with the digits that it is given with, one at least: "63.9"."""
    if value is None:
        return ""
    return f"{value:.1f}" if round(value, 1) == value else f"{value:g}"


def here(found: Record) -> str:
    """What a claim or one of its comparisons came out as: "+2.9 points", with the margin where one is claimed.

    Of a claim that was not asked, the premise: "premise: -4.3 points".
    """
    if found["difference"] is None or math.isnan(found["difference"]):
        return "not measured yet"
    margin = found.get("within")
    claimed = "" if margin is None else f" (claimed within \u00b1{_scaled(margin, found)} {_unit(found)})"
    premise = "" if found.get("asked", True) else "premise: "  # one comparison has no premise
    return f"{premise}{_scaled(found['difference'], found, '+')} {_unit(found)}{claimed}"


def interval(found: Record) -> str:
    """ "+1.2 to +4.6"; one seed has none."""
    if found["low"] is None or found["high"] is None:
        return "one seed, no interval" if found["seeds"] == 1 else ""
    return f"{_scaled(found['low'], found, '+')} to {_scaled(found['high'], found, '+')}"


def label(claim: Record) -> str:
    """A claim's verdict; "not asked" where its premise does not hold, which is counted apart."""
    not_asked = claim["verdict"] == NOT_TESTABLE and not claim["asked"]
    return NOT_ASKED if not_asked else str(claim["verdict"])


def counted(claims: Iterable[Record]) -> str:
    """ "11 reproduced, 3 contradicted, 9 undecided, 2 not testable here, 2 not asked"; none of which is 0."""
    counts = Counter(map(label, claims))
    return ", ".join(f"{counts[name]} {name}" for name in LABELS if counts[name])


def _scaled(value: int | float, found: Record, sign: str = "") -> str:
    return f"{value:{sign}.2f}" if found["metric"] in IN_NATS else f"{100 * value:{sign}.1f}"


def _unit(found: Record) -> str:
    return "nats" if found["metric"] in IN_NATS else "points"
