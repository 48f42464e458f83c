"""The map of the embeddings: a dot an image, coloured by label, the labels' names at the densest places."""

from collections import Counter

import numpy as np
from jaxtyping import Float

from twofold.report.charts import CATEGORIES, rounded, short
from twofold.report.content import Gallery
from twofold.report.figure import Axis, Figure, FigureTable, Series

WIDTH_PX, HEIGHT_PX = 1036, 700


def embedding_map(gallery: Gallery) -> Figure:
    """The gallery's places, a series a label; each dot carries the number of its image."""
    shown = [label for label, _ in Counter(filter(None, gallery.labels[: len(gallery.xy)])).most_common(CATEGORIES)]
    colours = {label: f"category-{place}" for place, label in enumerate(sorted(shown))}
    groups: dict[str, list[int]] = {label: [] for label in [*colours, ""]}
    for row, label in enumerate(gallery.labels[: len(gallery.xy)]):
        groups[label if label in colours else ""].append(row)
    series, notes = [], []
    for name, rows in groups.items():
        if not rows:
            continue
        colour, called = colours.get(name, "muted"), name or ("other" if colours else "images")
        series.append(_dots(gallery.xy[rows], rows, short(called, 30), colour))
        if name:
            notes.append((name, *densest_place(gallery.xy[rows])))
    low, high = gallery.xy.min(axis=0), gallery.xy.max(axis=0)
    reach = 0.52 * float(max((high - low)[1] * WIDTH_PX / HEIGHT_PX, (high - low)[0])) or 1.0  # one scale for both axes
    middle = (low + high) / 2
    table = [
        (path, label, *rounded(place))
        for place, path, label in zip(gallery.xy, gallery.paths, gallery.labels, strict=False)
    ]
    return Figure(
        x=Axis(low=float(middle[0]) - reach, high=float(middle[0]) + reach),
        y=Axis(
            low=float(middle[1]) - reach * HEIGHT_PX / WIDTH_PX, high=float(middle[1]) + reach * HEIGHT_PX / WIDTH_PX
        ),
        series=series,
        notes=map_notes(notes, float(np.ptp(gallery.xy, axis=0).max())),
        table=FigureTable(columns=("image", "label", "x", "y"), rows=table),
        has_legend=len(series) > 1,
        width=WIDTH_PX,
        height=HEIGHT_PX,
        gist=f"{len(gallery.xy):,} images" + (f", labels {', '.join(colours)}" if colours else ""),
    )


def densest_place(xy: Float[np.ndarray, "n 2"]) -> tuple[float, float]:
    """Of the given points the one whose nearest quarter lies closest: amid a cluster, never between two."""
    distances = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1))
    place = xy[np.partition(distances, len(xy) // 4, axis=1)[:, len(xy) // 4].argmin()]
    return float(place[0]), float(place[1])


def map_notes(notes: list[tuple[str, float, float]], extent: float) -> list[tuple[float, float, str]]:
    """(x, y, name) of the names on the map, moved down where they would cover each other."""
    wide, high = 0.011 * extent, 0.04 * extent  # of a letter, of a line
    placed: list[tuple[str, float, float]] = []
    for name, x, y in sorted(notes, key=lambda note: -note[2]):
        for other, other_x, other_y in placed:  # from the top down, so that one pass is enough
            if abs(x - other_x) < wide * (min(len(name), 18) + min(len(other), 18)) / 2 and abs(y - other_y) < high:
                y = other_y - high
        placed.append((name, x, y))
    return [(x, y, short(name)) for name, x, y in placed]


def _dots(xy: np.ndarray, rows: list[int], name: str, colour: str) -> Series:
    x, y = (rounded(column) for column in xy.T)
    return Series(name=name, x=x, y=y, colour=colour, symbol="circle", size=7, opacity=0.8, images=rows)
