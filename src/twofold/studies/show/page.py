"""The page of a study: what it asks, what came out, and how, in one HTML file that opens without a network."""

from functools import cache
from typing import Any

from markupsafe import Markup

from twofold import __version__
from twofold.report.settings import grouped_settings
from twofold.report.template import load_template
from twofold.report.wording import duration, hardware_name, setting_value
from twofold.studies.engine.claim import CONTRADICTED, NOT_TESTABLE, REPRODUCED, UNDECIDED
from twofold.studies.show.places import Record, by_place
from twofold.studies.show.table import by_chance, explained, reading
from twofold.studies.show.wording import NOT_ASKED, counted, half_width, here, interval, label, number, printed

SIGNS = {REPRODUCED: "\u2713", CONTRADICTED: "\u2717", UNDECIDED: "?", NOT_TESTABLE: "\u2013", NOT_ASKED: "\u2013"}


def build_page(record: Record, svg: bytes) -> bytes:
    """The page of a study's record, its figure inside; a half finished study has one as well."""
    return _template().render(_context(record, svg)).encode()


@cache
def _template() -> Any:
    return load_template(
        "study.html.j2",
        "twofold.studies",
        "twofold.report",
        here=here,
        label=label,
        interval=interval,
        half_width=half_width,
        number=number,
        printed=printed,
        reading=reading,
        duration=duration,
        setting_value=setting_value,
    )


def _context(record: Record, svg: bytes) -> dict[str, Any]:
    return {
        "study": record,
        "signs": SIGNS,
        "summary": counted(record["claims"]),
        "by_chance": by_chance(record["claims"]),
        "explained": [claim["claim"] for claim in explained(record["claims"])],
        "panels": [(panel, by_place(panel)) for panel in record["panels"]],
        "settings": grouped_settings(record["base"]),
        "seeds": len({cell["seed"] for cell in record["cells"]}),
        "hardware": hardware_name(record["hardware"]),
        "figure": Markup(svg[svg.index(b"<svg") :].decode()),  # without the prolog, which HTML does not know
        "version": __version__,
    }
