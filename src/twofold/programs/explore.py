"""All images on a map, as one page."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import numpy as np

from twofold.console import obeys_verbose, say
from twofold.curation import nearest_others, result_folder, write_answer
from twofold.curation.clusters import find_clusters
from twofold.curation.layout import NEIGHBOURS, lay_out
from twofold.data import AnyData
from twofold.errors import TwofoldError, enough_memory
from twofold.programs.embedded import LESS_MEMORY, open_embedded
from twofold.programs.opening import Opening
from twofold.programs.report import renew_report
from twofold.recipes.kinds import AnyPath, as_kind, as_optional_path, as_path, as_several
from twofold.report.map_page import write_map_page

_MOST = 50_000
_NEAR = 12  # neighbours that a click shows
_NONE = "none"
_MOST_NAMES, _PARTS = 40, 8  # of a column of numbers


@obeys_verbose
def explore(
    run: AnyPath,
    data: AnyData,
    *,
    columns: AnyPath | Sequence[AnyPath] = (),
    out: AnyPath | None = None,
    embeddings: AnyPath | None = None,
    verbose: bool = True,
    **opening: Unpack[Opening],
) -> Path:
    """Write RUN/explore/explore.html, a map of all images up to 50,000 (of more, a random sample); return its path.

    Like images lie near each other. Colours are by label, split, cluster, and by the columns of the CSV files
    `columns`, which have a column path: predictions.csv and findings.csv, say. The rest is as in `embed`.
    Raises TwofoldError where `out` holds anything else, and for a table without paths.
    """
    run, out, verbose = as_path("run", run), as_optional_path("out", out), as_kind("verbose", verbose, bool)
    tables = as_several("columns", columns, Path)
    for table in tables:
        if not table.is_file():
            raise TwofoldError(f"'{table}' is not a file; a CSV file with a column path is needed. Change --columns.")
    opened = open_embedded(run, data, embeddings=embeddings, **opening)
    embedded, images = opened.embedded, opened.images
    extra = {name: values for table in tables for name, values in _columns(table, embedded.paths).items()}
    rows = np.sort(np.random.default_rng(0).permutation(len(embedded))[:_MOST])
    with enough_memory("the map", LESS_MEMORY):
        if len(rows) == len(embedded):
            h, near = np.asarray(embedded.h), embedded.neighbours.rows
        else:
            say(f"  a random sample of {_MOST:,} of {len(embedded):,} images is shown")
            h = np.ascontiguousarray(embedded.h[rows])
            near = nearest_others(h, NEIGHBOURS).rows
        places = lay_out(h, np.ascontiguousarray(near[:, :NEIGHBOURS]))
        clusters = find_clusters(h)
    shown = {  # coloured by the first at the beginning
        **({"label": [embedded.labels[row] or "no label" for row in rows]} if embedded.classes else {}),
        **{name: [values[row] for row in rows] for name, values in extra.items()},
        "cluster": [f"cluster {number + 1}" for number in clusters.ids],
        "split": [embedded.splits[row] for row in rows],
    }
    home = out or (run if run.is_dir() else run.parent) / "explore"
    question = {"map": embedded.key, "columns": [[str(table), *sorted(extra)] for table in tables]}
    path = result_folder(home, question, given=out is not None) / "explore.html"
    write_map_page(images, rows, places, near[:, :_NEAR], shown, clusters.typical, path)
    write_answer(path.parent, "Map", path.name, [f"{len(rows):,} of {len(embedded):,} images on a map"])
    renew_report(run)
    say(f"{path}: {len(rows):,} images, {path.stat().st_size / 1e6:.1f} MB")
    return path


def _columns(table: Path, paths: Sequence[str]) -> dict[str, list[str]]:
    """Each column of a CSV file but path, a value for each of `paths`, "none" where it has no line."""
    try:
        with table.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as stream:
            lines = csv.DictReader(stream)
            names = [name for name in lines.fieldnames or () if name != "path"]
            if "path" not in (lines.fieldnames or ()):
                raise TwofoldError(f"'{table}' has no column path, by which images are found. Change --columns.")
            values: dict[str, dict[str, list[str]]] = {name: {} for name in names}
            for line in lines:
                for name in names:
                    values[name].setdefault(line["path"], []).append(line[name] or _NONE)
    except (OSError, UnicodeError, csv.Error) as error:
        raise TwofoldError(f"cannot read '{table}' ({error}). Change --columns.") from error
    known = set(paths)
    if names and not any(path in known for path in values[names[0]]):
        raise TwofoldError(f"'{table}' names no image of the data in its column path. Change --columns.")
    return {
        f"{table.stem}: {name}": _ranges(
            [" and ".join(dict.fromkeys(values[name].get(path, [_NONE]))) for path in paths]
        )
        for name in names
    }


def _ranges(values: list[str]) -> list[str]:
    """Numbers of many kinds as the eighth part of all that they lie in; anything else as it is."""
    try:
        numbers = np.array([np.nan if value == _NONE else float(value) for value in values])
    except ValueError:
        return values
    known = numbers[np.isfinite(numbers)]
    if len(set(known.tolist())) <= _MOST_NAMES:
        return values
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _PARTS + 1)))
    places = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    return [
        f"{edges[place]:.3g} to {edges[place + 1]:.3g}" if np.isfinite(number) else value
        for number, place, value in zip(numbers, places, values, strict=True)
    ]
