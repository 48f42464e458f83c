"""What is drawn lies where the numbers say, is valid XML, and holds nobody's markup."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from report.conftest import HOSTILE
from twofold.console import visible
from twofold.report import svg
from twofold.report.figure import Axis, Cell, Figure, FigureTable, Series
from twofold.report.read import read_run
from twofold.report.run_page import _figures
from twofold.report.styles import OTHERS, STYLES
from twofold.report.symbols import DASHES, symbol_path

NOTHING = FigureTable(columns=(), rows=())
STYLE = (Path(svg.__file__).parent / "templates" / "report.css").read_text()


def figure(**changes: object) -> Figure:
    axes = {"x": Axis(low=0, high=10, ticks=[(0, "0")]), "y": Axis(low=0, high=4, ticks=[(0, "0"), (4, "4")])}
    return Figure(**(axes | {"table": NOTHING} | changes))  # type: ignore[arg-type]


def parsed(one: Figure) -> ElementTree.Element:
    return ElementTree.fromstring(str(svg.draw(one, "a figure")))


def test_points_lie_on_the_frame_in_proportion() -> None:
    line = Series(name="", x=[0, 5, 10], y=[0, 1, 4], dash="solid")
    one = figure(series=[line])
    frame = svg.frame_of(one)
    drawn = parsed(one).find("polyline")
    assert drawn is not None
    points = [tuple(map(float, point.split(","))) for point in drawn.attrib["points"].split()]
    middle = ((frame.left + frame.right) / 2, frame.bottom - (frame.bottom - frame.top) / 4)
    expected = [(frame.left, frame.bottom), middle, (frame.right, frame.top)]
    assert points == [pytest.approx(place, abs=0.06) for place in expected]


def test_a_band_is_interrupted_where_there_is_no_interval() -> None:
    line = Series(name="", x=[1, 2, 3, 4], y=[2, 2, 2, 2], low=[1, 1, None, 1], high=[3, 3, None, 3])
    bands = [path.attrib["d"] for path in parsed(figure(series=[line])).findall("path")]
    assert [band.count("L") + 1 for band in bands] == [4, 2]
    frame = svg.frame_of(figure())
    numbers = [tuple(map(float, place.split())) for place in bands[1].strip("Mz").split("L")]
    assert numbers == [pytest.approx((frame.across(4), frame.down(y)), abs=0.06) for y in (3, 1)]


def test_whiskers_reach_from_low_to_high() -> None:
    line = Series(name="", x=[5, 6], y=[1, 2], low=[4, None], high=[7, None], symbol="circle")
    one = figure(series=[line], intervals="whiskers")
    (path,) = parsed(one).findall("path")
    start, end = (float(re.findall(pattern, path.attrib["d"])[0]) for pattern in (r"^M([\d.]+)", r"H([\d.]+)"))
    frame = svg.frame_of(one)
    assert (start, end) == pytest.approx((frame.across(4), frame.across(7)), abs=0.06)


def test_cells_fill_the_matrix_without_overlap() -> None:
    axis = Axis(low=-0.5, high=2.5)
    cells = [Cell(column=c, row=r, strength=0.5, text="", tip=f"{r},{c}") for r in range(3) for c in range(3)]
    one = figure(x=axis, y=Axis(low=2.5, high=-0.5), cells=cells, is_square=True, width=400, height=400)
    drawn = [rect.attrib for rect in parsed(one).findall("rect") if "data-tip" in rect.attrib]
    corners = {(float(rect["x"]), float(rect["y"])): rect for rect in drawn}
    assert len(corners) == 9
    size = min(
        b - a for a, b in zip(sorted({x for x, _ in corners}), sorted({x for x, _ in corners})[1:], strict=False)
    )
    assert all(float(rect["width"]) <= size for rect in drawn)
    assert corners[min(corners)]["data-tip"] == "0,0"


def test_strips_cover_the_frame_once() -> None:
    one = figure(strips=[(1, "one"), (4, "two"), (9, "three")])
    frame, strips = svg.frame_of(one), parsed(one).findall("rect")
    assert [strip.attrib["data-tip"] for strip in strips] == ["one", "two", "three"]
    assert sum(float(strip.attrib["width"]) for strip in strips) == pytest.approx(frame.right - frame.left, abs=0.3)
    edge = float(strips[1].attrib["x"])
    assert edge == pytest.approx((frame.across(1) + frame.across(4)) / 2, abs=0.06)


def test_every_figure_of_a_run_is_xml_inside_its_box(rich: Path) -> None:
    for name, one in _figures(read_run(rich)).items():
        root = parsed(one)
        assert root.attrib["role"] == "img"
        for place in root.iter("polyline"):
            for point in place.attrib["points"].split():
                x, y = map(float, point.split(","))
                assert 0 <= x <= one.width, name
                assert 0 <= y <= one.height, name


def test_texts_are_escaped_and_control_characters_spelt_out() -> None:
    hostile = Series(name=HOSTILE, x=[1], y=[1], symbol="x", tips=[HOSTILE])
    one = figure(series=[hostile], notes=[(1, 1, HOSTILE)], gist=HOSTILE, strips=[(1, HOSTILE)])
    root = parsed(one)
    note = next(text for text in root.iter("text") if text.attrib.get("class") == "note")
    assert note.text == visible(HOSTILE)
    assert {found.tag for found in root.iter()} <= {"svg", "g", "path", "text", "line", "rect"}


def test_without_escaping_the_test_above_would_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svg, "visible", lambda text: text)
    with pytest.raises(ElementTree.ParseError):  # a control character is no XML
        test_texts_are_escaped_and_control_characters_spelt_out()


def test_every_style_has_a_marker_a_dash_and_a_colour_in_both_themes() -> None:
    for style in (*STYLES.values(), *OTHERS):
        assert symbol_path(style.symbol, 0, 0, 10).endswith("z")
        assert style.dash in DASHES
        assert STYLE.count(f"--{style.colour}: #") == 2
    outlines = {symbol_path(style.symbol, 0, 0, 10) for style in STYLES.values()}
    assert len(outlines) == 5  # circle, square, diamond, triangle, star: full and open share theirs


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """(L1 + 0.05) / (L2 + 0.05) of WCAG 2.2, the brighter one above."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def themes() -> list[dict[str, str]]:
    blocks = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    return [dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in blocks if "--accent" in block]


def mixed(colour: str, below: str, opacity: float) -> str:
    parts = [[int(text[start : start + 2], 16) for start in (1, 3, 5)] for text in (colour, below)]
    return "#" + "".join(f"{round(opacity * a + (1 - opacity) * b):02x}" for a, b in zip(*parts, strict=True))


def test_contrast_is_that_of_wcag_aa() -> None:
    """Text 4.5 to 1, lines and markers 3 to 1 (1.4.3, 1.4.11), in the light theme and in the dark one."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)  # the known border case
    assert len(themes()) == 2
    for theme in themes():
        for text in ("ink", "soft", "muted", "accent", "baseline", "warn"):
            for ground in ("paper", "card", "tint"):
                assert contrast(theme[text], theme[ground]) >= 4.5, (text, ground)
        for number in range(10):
            assert contrast(theme[f"category-{number}"], theme["paper"]) >= 3, number
        assert contrast(theme["ink"], mixed(theme["cell"], theme["card"], svg.STRONGEST)) >= 4.5
