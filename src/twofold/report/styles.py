"""How a way of measuring looks in every chart: told apart without colour too."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """A colour of the style sheet, a dash and a marker of `symbols`."""

    colour: str
    dash: str
    symbol: str


STYLES = {  # (protocol, encoder), in the order of the legends
    ("self-train", "trained"): Style("category-6", "solid", "star-open"),
    ("finetune", "trained"): Style("category-3", "solid", "star"),
    ("linear", "trained"): Style("accent", "solid", "circle"),
    ("knn", "trained"): Style("category-4", "longdash", "circle-open"),
    ("supervised", "untrained"): Style("category-5", "dashdot", "triangle-up"),
    ("linear", "initial"): Style("category-1", "dot", "triangle-up"),
    ("knn", "initial"): Style("category-1", "longdashdot", "triangle-up-open"),
    ("linear", "untrained"): Style("baseline", "dash", "square"),
    ("knn", "untrained"): Style("baseline", "longdash", "square-open"),
    ("linear", "pixels"): Style("muted", "dot", "diamond"),
    ("knn", "pixels"): Style("muted", "longdashdot", "diamond-open"),
}
OTHERS = (
    Style("category-8", "dash", "pentagon"),
    Style("category-7", "dashdot", "hexagon"),
    Style("category-0", "dot", "cross"),
    Style("category-2", "longdash", "x"),
)
