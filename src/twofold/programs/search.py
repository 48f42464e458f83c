"""The images most like a query, as a list, a table and a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np
from jaxtyping import Float32, Int64

from twofold.console import obeys_verbose, say
from twofold.curation import Neighbours, nearest_rows, result_folder, write_answer, write_csv
from twofold.curation.search_index import open_index
from twofold.data import AnyData
from twofold.errors import TwofoldError, enough_memory, require
from twofold.programs.embedded import LESS_MEMORY, Opened, encoder_digest, open_embedded
from twofold.programs.opening import Opening
from twofold.programs.report import renew_report
from twofold.recipes.kinds import AnyPath, as_kind, as_optional_path, as_path
from twofold.report.search_page import write_search_page

_EXACT_UP_TO = 10**9  # comparisons of a query and an image: some 15 s of a CPU with 512 numbers each
_SHOWN = 5  # results of each query that are printed
_SAMPLE = 200  # images on which the recall of an index is measured
_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".heic")


@dataclass(frozen=True, eq=False, kw_only=True)
class Hits:
    """For each of m queries the k nearest images, nearest first."""

    queries: Sequence[str]
    paths: Sequence[str]  # of all images searched
    rows: Int64[np.ndarray, "m k"]
    cosines: Float32[np.ndarray, "m k"]  # in [-1, 1]

    def of(self, query: int) -> list[tuple[str, float]]:
        """(path, cosine) of a query's hits."""
        return [
            (self.paths[row], float(cosine))
            for row, cosine in zip(self.rows[query].tolist(), self.cosines[query], strict=True)
        ]

    def to_csv(self, path: Path | str) -> Path:
        """Write query, rank, path, cosine. Raises TwofoldError as `write_csv` does."""
        lines = [
            (query, rank, found, cosine)
            for number, query in enumerate(self.queries)
            for rank, (found, cosine) in enumerate(self.of(number), start=1)
        ]
        names = ("query", "rank", "path", "cosine")
        return write_csv(Path(path), {name: [line[place] for line in lines] for place, name in enumerate(names)})


@obeys_verbose
def search(
    run: AnyPath,
    data: AnyData,
    *,
    query: AnyPath,
    top: int = 20,
    index: AnyPath | None = None,
    exact: bool = False,
    out: AnyPath | None = None,
    embeddings: AnyPath | None = None,
    verbose: bool = True,
    **opening: Unpack[Opening],
) -> Hits:
    """The `top` images of `data` most like each image in `query` (a file or a folder), by the cosine of h.

    Every image is compared with every query, up to 10^9 times, or with `exact` more often. Above, or where `index` is
    given, a folder (default: RUN/search-index), an index is asked, which is made once and grows with the data; its
    recall is printed.
    Writes search.csv and search.html to a folder (default: RUN/search). The rest is as in `embed`. Raises TwofoldError
    where `query` is no image and holds none, where usearch is missing, and for the index of another encoder.
    """
    run, asked, folder = as_path("run", run), as_path("query", query), as_optional_path("out", out)
    top, verbose = as_kind("top", top, int), as_kind("verbose", verbose, bool)
    index, exact = as_optional_path("index", index), as_kind("exact", exact, bool)
    require(not (exact and index is not None), "exact", exact, "False where an index is given", fix="Leave one out.")
    require(top >= 1, "top", top, "at least 1")
    files = _query_files(asked)
    opened = open_embedded(run, data, embeddings=embeddings, **opening)
    with enough_memory("searching", LESS_MEMORY):
        h = opened.loaded.embed(files)
        if exact or (index is None and len(files) * len(opened.embedded) <= _EXACT_UP_TO):
            near = nearest_rows(h, opened.embedded.h, top)
        else:
            near = _by_index(h, opened, index or (run if run.is_dir() else Path()) / "search-index", top)
    hits = Hits(
        queries=[str(file) for file in files], paths=opened.embedded.paths, rows=near.rows, cosines=near.cosines
    )
    question = {"command": "search", "of": opened.embedded.key, "query": [str(file) for file in files], "top": top}
    question |= {"exact": True} if exact else {}
    home = folder or (run / "search" if run.is_dir() else Path("search"))
    target = result_folder(home, question, given=folder is not None)
    hits.to_csv(target / "search.csv")
    write_search_page(files, hits.rows, hits.cosines, opened.images, target / "search.html")
    for number, file in enumerate(files[:_SHOWN]):
        say(f"  {file}")
        for path, cosine in hits.of(number)[: top if len(files) == 1 else _SHOWN]:
            say(f"    {cosine:.3f}  {path}")
    what = files[0].name if len(files) == 1 else f"{len(files):,} images"
    write_answer(target, "Search", "search.html", [f"the {top} images most like {what}"])
    renew_report(run)
    say(f"Written: {target / 'search.html'}, search.csv next to it.")
    return hits


def _by_index(h: Float32[np.ndarray, "m d"], opened: Opened, folder: Path, top: int) -> Neighbours:
    embedded = opened.embedded
    index = open_index(folder, encoder=encoder_digest(opened.loaded), paths=embedded.paths, h=embedded.h)
    recall, sample = index.recall(top, sample=_SAMPLE), min(_SAMPLE, len(embedded))
    say(
        f"  index of {len(embedded):,} images ({index.added:,} added): it finds {recall:.1%} of the {top} nearest, "
        f"measured on {sample:,} images against all; --exact finds all"
    )
    return index.nearest(h, top)


def _query_files(query: Path) -> list[Path]:
    files = sorted(path for path in query.rglob("*") if path.suffix.lower() in _ENDINGS) if query.is_dir() else [query]
    if not files or not query.exists():
        held = "holds no image" if query.is_dir() else "is not there"
        raise TwofoldError(f"--query '{query}' {held}; an image or a folder of images is needed. Change --query.")
    return files
