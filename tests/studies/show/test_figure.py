"""Figures: XML, the same bytes again, readable text, and something sensible for what is not there."""

import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest

from studies import made_up
from twofold.studies.engine.panel import Panel
from twofold.studies.engine.results import Results
from twofold.studies.show import heat
from twofold.studies.show.figure import STYLE, draw_study
from twofold.studies.show.lines import column_places
from twofold.studies.show.marks import LINES, MARKERS, plain
from twofold.studies.show.places import panel_record


def of(*panels: dict[str, Any]) -> dict[str, Any]:
    return {"panels": list(panels)}


def made(kind: str, seeds: int) -> dict[str, Any]:
    found = Results()
    return panel_record(getattr(made_up, kind)(found, seeds), found)


@pytest.mark.parametrize("seeds", [0, 1, 3])
@pytest.mark.parametrize("kind", ["heat", "lines", "dots", "entropies"])
def test_every_kind_is_drawn_with_any_number_of_seeds_the_same_again(kind: str, seeds: int) -> None:
    record = of(made(kind, seeds))
    svg = draw_study(record)
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert svg == draw_study(record)
    assert b"<dc:date>" not in svg


def test_a_figure_holds_all_panels_and_is_a_png_where_asked() -> None:
    record = of(made("heat", 1), made("lines", 2), made("dots", 2))
    root = ElementTree.fromstring(draw_study(record))
    assert root.get("width") == "576pt"
    assert draw_study(record, ".png").startswith(b"\x89PNG")
    assert draw_study(record, ".png") == draw_study(record, ".png")


def test_a_study_without_panels_or_results_has_a_figure() -> None:
    empty = panel_record(Panel(title="T", rows=("r",), columns=("c",), entries={}, kind="heat"), Results())
    for record in (of(), of(empty), of(empty, made("lines", 1))):
        ElementTree.fromstring(draw_study(record))


@pytest.mark.parametrize("kind", ["heat", "lines", "dots"])
def test_names_are_drawn_letter_by_letter(kind: str) -> None:
    found = Results()
    hostile = "<script>$\\alpha$ & 5 $ a rather long name that takes more than a line of the figure"
    made_up.fill(found, "x", 2, top1=0.5)
    panel = Panel(
        title=hostile, rows=(hostile,), columns=("c", hostile), entries={(hostile, "c"): ("x", "top1")}, kind=kind
    )
    svg = draw_study(of(panel_record(panel, found)))
    ElementTree.fromstring(svg)
    assert b"<script" not in svg
    assert plain("$5") == r"\$5"


def test_a_users_own_style_does_not_reach_the_figure() -> None:
    import matplotlib

    record = of(made("dots", 2))
    expected = draw_study(record)
    with matplotlib.rc_context({"font.size": 20.0, "axes.facecolor": "red"}):
        assert draw_study(record) == expected
    assert matplotlib.rcParams["svg.hashsalt"] != STYLE["svg.hashsalt"]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (("1", "2", "8"), ([1.0, 2.0, 8.0], False)),
        (("32", "128", "1,024"), ([32.0, 128.0, 1024.0], True)),
        (("1/8", "1/4", "1", "2"), ([0.125, 0.25, 1.0, 2.0], True)),
        (("1 %", "10 %", "100 %"), ([1.0, 10.0, 100.0], True)),
        (("0", "10", "100"), ([0.0, 10.0, 100.0], False)),
        (("1", "1.0"), ([0.0, 1.0], False)),
        (("1", "1 + blur"), ([0.0, 1.0], False)),
        (("nan", "1/0", "inf"), ([0.0, 1.0, 2.0], False)),
        ((), ([], False)),
    ],
)
def test_columns_stand_at_their_numbers_where_all_are(
    columns: tuple[str, ...], expected: tuple[list[float], bool]
) -> None:
    assert column_places(columns) == expected


def test_lines_differ_without_colour() -> None:
    looks = [(LINES[line % len(LINES)][1], MARKERS[line % len(MARKERS)]) for line in range(20)]
    assert len(set(map(str, looks))) == 20


def test_text_on_a_heat_map_is_readable() -> None:
    from matplotlib import colormaps

    def luminance(colour: Any) -> float:
        part = np.asarray(colour[:3], dtype=float)
        linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for value in np.linspace(0, 1, 50):
        colour = colormaps[heat.COLOURS](value)
        ink = {"white": 1.0, "black": 0.0}[heat._ink_on(colour)]
        bright, dark = sorted((luminance(colour), ink), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5  # WCAG's rule for text


def test_the_diagonal_is_where_row_and_column_are_the_same() -> None:
    assert heat._diagonal({"rows": ["a", "b", "c"], "columns": ["b", "a"]}) == [(0, 1), (1, 0)]
