"""Markers and dashes as SVG knows them."""

import math

DASHES = {
    "solid": "",
    "dash": "7 4",
    "dot": "1.5 3.5",
    "longdash": "12 5",
    "dashdot": "8 4 1.5 4",
    "longdashdot": "13 4 1.5 4",
}
_CORNERS = {  # corners on a circle, where the first one stands (turns, 0 is on top), how large, inner radius of a star
    "square": (4, 0.125, 1.25, 1.0),
    "diamond": (4, 0.0, 1.25, 1.0),
    "triangle-up": (3, 0.0, 1.25, 1.0),
    "pentagon": (5, 0.0, 1.1, 1.0),
    "hexagon": (6, 0.0, 1.1, 1.0),
    "star": (5, 0.0, 1.4, 0.45),
    "cross": (4, 0.0, 1.4, 0.35),
    "x": (4, 0.125, 1.4, 0.35),
}


def symbol_path(symbol: str, x: int | float, y: int | float, size: int | float) -> str:
    """The outline of a marker around (x, y), about `size` px wide; "-open" is the caller's: the outline is the same."""
    shape, radius = symbol.removesuffix("-open"), size / 2
    if shape == "circle":
        half = f"a{radius:.1f} {radius:.1f} 0 1 0"
        return f"M{x - radius:.1f} {y:.1f}{half} {size:.1f} 0{half} {-size:.1f} 0z"
    corners, turn, large, inner = _CORNERS[shape]
    steps = corners if inner == 1.0 else 2 * corners
    points = []
    for step in range(steps):
        reach = radius * large * (inner if steps > corners and step % 2 else 1.0)
        angle = 2 * math.pi * (turn + step / steps)
        points.append(f"{x + reach * math.sin(angle):.1f} {y - reach * math.cos(angle):.1f}")
    return "M" + "L".join(points) + "z"
