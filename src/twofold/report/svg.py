"""A figure as SVG: colours are variables of the style sheet, so one drawing serves the light and the dark theme.

Every text goes through `visible` and is escaped: names of files and labels are somebody else's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from twofold.console import visible
from twofold.report.figure import Axis, Figure, Number, Series
from twofold.report.symbols import DASHES, symbol_path

LETTER_PX, LINE_PX = 6.7, 15.0  # of a tick's text
TOP_PX, RIGHT_PX = 10.0, 14.0
STRONGEST = 0.65  # opacity of a cell: dark text on it keeps a contrast of 4.5 to 1


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The rectangle (px, y downwards) in which two axes lie."""

    x: Axis
    y: Axis
    left: float
    right: float
    top: float
    bottom: float

    def across(self, value: Number) -> float:
        return self.left + (self.right - self.left) * self.x.place(value)

    def down(self, value: Number) -> float:
        return self.bottom - (self.bottom - self.top) * self.y.place(value)


def frame_of(figure: Figure) -> Frame:
    """What the texts of the axes leave free; the names below the columns of a matrix stand upright."""
    letters = max((len(line) for _, text in figure.y.ticks for line in text.split("\n")), default=0)
    left = 8 + LETTER_PX * letters + (20 if figure.y.title else 0)
    texts = [text for _, text in figure.x.ticks]
    if figure.cells:
        below = 24 + LETTER_PX * max(map(len, texts), default=0)
    else:
        below = (20 if figure.x.title else 0) + LINE_PX * max((text.count("\n") + 1 for text in texts), default=0)
    right, bottom = figure.width - RIGHT_PX, figure.height - 6 - below
    if figure.is_square:
        side = min(right - left, bottom - TOP_PX)
        right, bottom = left + side, TOP_PX + side
    return Frame(x=figure.x, y=figure.y, left=left, right=right, top=TOP_PX, bottom=bottom)


def element(name: str, *inside: str, **attributes: object) -> Markup:
    """<name attributes>inside</name>; an underscore in a name is a hyphen; what is not Markup is escaped."""
    written = [
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _text(value)) for key, value in attributes.items()
    ]
    return Markup("<{0}{1}>{2}</{0}>").format(
        Markup(name), Markup().join(written), Markup().join(escape(_text(part)) for part in inside)
    )


def draw(figure: Figure, description: str) -> Markup:
    """The figure as an <svg> whose alternative text is `description` and the figure's gist."""
    frame = frame_of(figure)
    told = f"{description}: {figure.gist}" if figure.gist else description
    parts = [*_axes(figure, frame), *_cells(figure, frame)]
    for line in figure.series:
        parts += _intervals(figure, frame, line)
    for line in figure.series:
        parts += [*_line(frame, line), *_markers(frame, line)]
    parts += [*_notes(figure, frame), *_strips(figure, frame)]
    box = f"0 0 {figure.width} {figure.height}"
    return element(
        "svg", *parts, viewBox=box, role="img", aria_label=told, style=f"max-width:{figure.width * 1.3:.0f}px"
    )


def draw_swatch(line: Series) -> Markup:
    """A series' line and marker for the legend, 34 by 14 px."""
    short = Series(
        name="", x=[0, 1], y=[0, 0], colour=line.colour, dash=line.dash, width=line.width, opacity=line.opacity
    )
    mark = Series(name="", x=[0.5], y=[0], colour=line.colour, symbol=line.symbol, size=line.size, opacity=line.opacity)
    frame = Frame(x=Axis(low=0, high=1), y=Axis(low=0, high=0), left=1.0, right=33.0, top=0.0, bottom=14.0)
    return element(
        "svg", *_line(frame, short), *_markers(frame, mark), viewBox="0 0 34 14", class_="swatch", aria_hidden="true"
    )


def _text(value: object) -> str:
    return value if isinstance(value, Markup) else visible(str(value))


def _px(value: Number) -> str:
    return f"{value:.1f}"


def _axes(figure: Figure, frame: Frame) -> Iterator[Markup]:
    for value, text in figure.y.ticks:
        y = frame.down(value)
        if figure.y.has_grid:
            yield element("line", class_="grid", x1=_px(frame.left), x2=_px(frame.right), y1=_px(y), y2=_px(y))
        lines = text.split("\n")
        first = y + 4 - LINE_PX * (len(lines) - 1) / 2
        for place, line in enumerate(lines):
            yield element("text", line, x=_px(frame.left - 6), y=_px(first + LINE_PX * place), text_anchor="end")
    for value, text in figure.x.ticks:
        x = frame.across(value)
        if figure.x.has_grid:
            yield element("line", class_="grid", x1=_px(x), x2=_px(x), y1=_px(frame.top), y2=_px(frame.bottom))
        if figure.cells:
            at = f"{_px(x + 4)} {_px(frame.bottom + 6)}"
            yield element("text", text, transform=f"translate({at}) rotate(-90)", text_anchor="end")
            continue
        for place, line in enumerate(text.split("\n")):
            yield element("text", line, x=_px(x), y=_px(frame.bottom + LINE_PX * (place + 1)), text_anchor="middle")
    for value in figure.rules:
        y = frame.down(value)
        yield element("line", class_="grid", x1=_px(0), x2=_px(frame.right), y1=_px(y), y2=_px(y))
    if figure.x.title:
        middle = (frame.left + frame.right) / 2
        yield element("text", figure.x.title, x=_px(middle), y=_px(figure.height - 6), text_anchor="middle")
    if figure.y.title:
        at = f"12 {_px((frame.top + frame.bottom) / 2)}"
        yield element("text", figure.y.title, transform=f"translate({at}) rotate(-90)", text_anchor="middle")


def _cells(figure: Figure, frame: Frame) -> Iterator[Markup]:
    if not figure.cells:
        return
    size = (frame.right - frame.left) / abs(figure.x.high - figure.x.low)
    gap = 1 if size > 6 else 0
    yield element("rect", class_="field", **_box(frame.left, frame.top, frame.right, frame.bottom))
    for cell in figure.cells:
        x, y = frame.across(cell.column - 0.5), frame.top + size * cell.row
        box = _box(x, y, x + size - gap, y + size - gap)
        yield element("rect", **box, class_="cell", opacity=f"{STRONGEST * cell.strength:.3f}", data_tip=cell.tip)
        if cell.text:
            yield element(
                "text", cell.text, class_="ink", x=_px(x + size / 2), y=_px(y + size / 2 + 4), text_anchor="middle"
            )


def _intervals(figure: Figure, frame: Frame, line: Series) -> Iterator[Markup]:
    if figure.intervals == "band":
        yield from _bands(frame, line)
        return
    for at, (x, y) in enumerate(zip(line.x, line.y, strict=True)):
        tip = {"data_tip": line.tips[at]} if line.tips else {}
        if figure.intervals == "bars":
            box = _box(frame.across(0), frame.down(y - 0.32), frame.across(x), frame.down(y + 0.32))
            yield element("rect", **box, style=f"fill:var(--{line.colour});opacity:{line.opacity}", **tip)
        low, high = line.low[at], line.high[at]
        if low is None or high is None:
            continue
        start, end, middle = frame.across(low), frame.across(high), frame.down(y)
        path = f"M{_px(start)} {_px(middle)}H{_px(end)}" + "".join(
            f"M{_px(e)} {_px(middle - 3)}v6" for e in (start, end)
        )
        colour = "ink" if figure.intervals == "bars" else line.colour
        yield element("path", d=path, style=f"fill:none;stroke:var(--{colour});stroke-width:1.3")


def _bands(frame: Frame, line: Series) -> Iterator[Markup]:
    """The intervals as areas, interrupted where there is none; a bound without neighbours is an upright line."""
    part: list[tuple[float, float, float]] = []
    rows = [*zip(line.x, line.low, line.high, strict=False), (0, None, None)]
    for x, low, high in rows:
        if low is not None and high is not None:
            part.append((frame.across(x), frame.down(low), frame.down(high)))
            continue
        if part:
            edge = [(x, high) for x, _, high in part] + [(x, low) for x, low, _ in reversed(part)]
            path = "M" + "L".join(f"{_px(x)} {_px(y)}" for x, y in edge) + "z"
            style = f"fill:var(--{line.colour});fill-opacity:.16;stroke:var(--{line.colour});stroke-opacity:.3"
            yield element("path", d=path, style=style)
        part = []


def _line(frame: Frame, line: Series) -> Iterator[Markup]:
    if line.dash and line.x:
        points = " ".join(f"{_px(frame.across(x))},{_px(frame.down(y))}" for x, y in zip(line.x, line.y, strict=True))
        style = f"stroke:var(--{line.colour});stroke-width:{line.width};stroke-dasharray:{DASHES[line.dash] or 'none'}"
        yield element(
            "polyline", points=points, style=f"fill:none;stroke-linejoin:round;opacity:{line.opacity};{style}"
        )


def _markers(frame: Frame, line: Series) -> Iterator[Markup]:
    if not line.symbol:
        return
    fill = "paper" if line.symbol.endswith("-open") else line.colour
    edge = "paper" if line.images else line.colour  # dots of a map are kept apart by a bright edge
    drawn = []
    for at, (x, y) in enumerate(zip(line.x, line.y, strict=True)):
        answer = {"data_image": line.images[at]} if line.images else {"data_tip": line.tips[at]} if line.tips else {}
        drawn.append(element("path", d=symbol_path(line.symbol, frame.across(x), frame.down(y), line.size), **answer))
    style = f"fill:var(--{fill});stroke:var(--{edge});stroke-width:{0.6 if line.images else 1.5};opacity:{line.opacity}"
    yield element("g", *drawn, style=style)


def _notes(figure: Figure, frame: Frame) -> Iterator[Markup]:
    for x, y, text in figure.notes:
        yield element(
            "text", text, class_="note", x=_px(frame.across(x)), y=_px(frame.down(y) + 4), text_anchor="middle"
        )


def _strips(figure: Figure, frame: Frame) -> Iterator[Markup]:
    """Each reaches half the way to its neighbours."""
    places = [frame.across(x) for x, _ in figure.strips]
    edges = [frame.left, *((one + other) / 2 for one, other in pairwise(places)), frame.right]
    for (start, end), (_, tip) in zip(pairwise(edges), figure.strips, strict=False):
        yield element("rect", class_="strip", **_box(start, frame.top, end, frame.bottom), data_tip=tip)


def _box(left: Number, top: Number, right: Number, bottom: Number) -> dict[str, str]:
    ordered: Sequence[Number] = (min(left, right), min(top, bottom), abs(right - left), abs(bottom - top))
    return dict(zip(("x", "y", "width", "height"), map(_px, ordered), strict=True))
