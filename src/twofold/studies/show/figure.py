"""The figure of a study: its panels below each other, each with the paper's own beside it or in it."""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

from twofold.studies.show import dots, heat, lines
from twofold.studies.show.marks import FAINT, INK, SOFT, plain
from twofold.studies.show.places import Record, has_paper, is_measured

WIDE_IN = 8.0  # 768 px as SVG: the width of a README
LINE_IN = 0.18  # of a title
STYLE = {
    "svg.hashsalt": "twofold",  # names of the SVG's parts do not depend on the day
    "svg.fonttype": "path",
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.titlecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "legend.frameon": False,
    "grid.color": "#e6e4dd",
    "axes.axisbelow": True,
}
_NO_TRACE = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}  # equal input, equal bytes
_KINDS: dict[str, tuple[Callable[[Any, Record], None], Callable[[Record], float]]] = {
    "heat": (heat.draw, heat.height_in),
    "lines": (lines.draw, lines.height_in),
    "dots": (dots.draw, dots.height_in),
}


def draw_study(record: Record, suffix: str = ".svg") -> bytes:
    """The panels of a study's record as an SVG, or as a PNG where the suffix is ".png"; equal records, equal bytes."""
    from matplotlib import style

    kind = suffix.removeprefix(".").lower()
    content = io.BytesIO()
    with style.context(["default", STYLE]):  # also where the user's own style is another
        _figure(record["panels"]).savefig(content, format=kind, dpi=144, metadata=_NO_TRACE[kind])
    return _numbered(content.getvalue()) if kind == "svg" else content.getvalue()


def _numbered(svg: bytes) -> bytes:
    """The same image with its parts numbered in order: matplotlib names them by where they lie in memory."""
    names = dict.fromkeys(re.findall(rb'id="([a-z][0-9a-f]{10})"', svg))
    numbers = {name: f"part-{place}".encode() for place, name in enumerate(names)}
    return re.sub(rb"[a-z][0-9a-f]{10}", lambda found: numbers.get(found[0], found[0]), svg)


def _figure(panels: Sequence[Record]) -> Any:
    from matplotlib.figure import Figure

    if not panels:
        figure = Figure(figsize=(WIDE_IN, 0.8))
        _say_nothing(figure)
        return figure
    titles = [plain(panel["title"], 80) for panel in panels]
    heights = [_height_in(panel) + LINE_IN * title.count("\n") for panel, title in zip(panels, titles, strict=True)]
    figure = Figure(figsize=(WIDE_IN, sum(heights)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.06)  # type: ignore[union-attr, call-arg]
    parts = figure.subfigures(len(panels), 1, squeeze=False, height_ratios=heights, hspace=0.02)[:, 0]
    for panel, title, part in zip(panels, titles, parts, strict=True):
        part.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        if _holds_something(panel):
            _KINDS[panel["kind"]][0](part, panel)
        else:
            _say_nothing(part)
    return figure


def _height_in(panel: Record) -> float:
    return _KINDS[panel["kind"]][1](panel) if _holds_something(panel) else 1.0


def _holds_something(panel: Record) -> bool:
    return is_measured(panel) or has_paper(panel)


def _say_nothing(part: Any) -> None:
    part.text(0.5, 0.4, "Nothing is measured yet.", ha="center", va="center", color=SOFT)
