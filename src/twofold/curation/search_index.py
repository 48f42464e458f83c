"""Nearest neighbours among very many images: an index (HNSW of usearch, float16) in a folder, which grows with them.

Legend: n images, m queries, d features, k neighbours. An image is known by its path.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from twofold.console import say, with_progress
from twofold.curation.nearest import Neighbours, nearest_rows
from twofold.data.parallel import cores
from twofold.errors import TwofoldError, import_extra
from twofold.evaluation.knn import unit
from twofold.files import make_folder, unused_name, write_json

_FORMAT = "twofold-index-1"
_AT_ONCE = 8192
_SAME = (
    0.999  # cosine from which on an embedding is the one in the index: float16 and the batch change the fourth digit
)
_SPARE = 3  # times k candidates, of which the exact cosines choose


@dataclass(frozen=True, eq=False, kw_only=True)
class SearchIndex:
    """An index of the images with embeddings h; `added` of them are new in it, `kept` were there."""

    h: Float32[np.ndarray, "n d"]
    rows: Int64[np.ndarray, " keys"]  # of each key; -1 for an image that is gone
    graph: Any
    added: int
    kept: int

    def nearest(self, queries: Float32[np.ndarray, "m d"], k: int) -> Neighbours:
        """About the k nearest rows of each query, by the exact cosine of those that the index gives (n if fewer)."""
        k = min(k, len(self.h))
        asked = unit(np.ascontiguousarray(queries)).numpy()
        cosines, rows = np.zeros((len(asked), k), np.float32), np.zeros((len(asked), k), np.int64)
        for place, query in enumerate(asked):
            keys = self.graph.search(query.astype(np.float16), min(_SPARE * k, len(self.h))).keys
            near = np.sort(self.rows[keys.astype(np.int64)])
            exact = unit(np.ascontiguousarray(self.h[near])).numpy() @ query
            order = np.argsort(-exact, kind="stable")[:k]
            cosines[place], rows[place] = exact[order], near[order]
        return Neighbours(np.clip(cosines, -1, 1), rows)

    def recall(self, k: int, *, sample: int, seed: int = 0) -> float:
        """Share of the k nearest others of a random sample of images that the index finds, in [0, 1]."""
        own = np.random.default_rng(seed).permutation(len(self.h))[:sample]
        queries = np.ascontiguousarray(self.h[own])
        truth, found = nearest_rows(queries, self.h, k + 1), self.nearest(queries, k + 1)
        shares = []
        for row, right, given in zip(own.tolist(), truth.rows.tolist(), found.rows.tolist(), strict=True):
            others = [other for other in right if other != row][:k]
            shares.append(len(set(others) & set(given)) / max(len(others), 1))
        return float(np.mean(shares)) if shares else 1.0


def open_index(folder: Path, *, encoder: str, paths: list[str], h: Float32[np.ndarray, "n d"]) -> SearchIndex:
    """The index in `folder`, made or brought up to date: new and changed images are added, those that are gone leave.

    Raises TwofoldError where usearch is missing, where the folder holds anything else or the index of another encoder
    (`encoder` is its digest), and NotFiniteError for an h that is not finite.
    """
    usearch = import_extra("usearch.index", "an index to search in", "search")
    about = _read_about(folder, encoder, h.shape[1])
    names: list[str] = about["paths"] if about else []
    graph = usearch.Index(ndim=h.shape[1], metric="cos", dtype="f16")
    if about:
        _load(graph, folder, about)
    rows, stale = _compare(graph, names, paths, h)
    if len(stale):
        graph.remove(stale)
    new = np.setdiff1d(np.arange(len(paths)), rows[rows >= 0])
    first = len(names)
    _add(graph, new, first, h)
    index = SearchIndex(h=h, rows=np.concatenate([rows, new]), graph=graph, added=len(new), kept=len(paths) - len(new))
    if len(new) or len(stale):
        _write(graph, folder, encoder, [*names, *(paths[row] for row in new)], about)
    return index


def _read_about(folder: Path, encoder: str, dim: int) -> dict[str, Any] | None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    try:
        about = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        is_own = about["format"] == _FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        is_own = False
    if not is_own:
        raise TwofoldError(
            f"'{folder}' holds other files than an index, and nothing of yours is overwritten. Change --index."
        )
    if about["encoder"] != encoder or about["dim"] != dim:
        raise TwofoldError(
            f"the index in '{folder}' was made with another encoder, whose distances mean something else. Choose "
            "another folder with --index, or delete it."
        )
    return dict(about)


def _load(graph: Any, folder: Path, about: dict[str, Any]) -> None:
    try:
        graph.load(folder / about["vectors"])
    except (OSError, RuntimeError, ValueError) as error:
        raise TwofoldError(
            f"the index in '{folder}' is damaged ({error}). Delete that folder; it will be made again."
        ) from error


def _compare(
    graph: Any, names: list[str], paths: list[str], h: Float32[np.ndarray, "n d"]
) -> tuple[Int64[np.ndarray, " keys"], Int64[np.ndarray, " gone"]]:
    """The row of each key, -1 where there is none any more, and the keys to remove: of gone and of changed images."""
    places = {path: row for row, path in enumerate(paths)}
    last = {name: key for key, name in enumerate(names)}  # an image that changed has several keys, the last is its own
    rows = np.array([places.get(name, -1) if last[name] == key else -1 for key, name in enumerate(names)], np.int64)
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        keys = np.flatnonzero(part >= 0) + start
        if len(keys):
            kept = np.asarray(graph.get(keys.astype(np.uint64), dtype=np.float32))
            cosines = (unit(np.ascontiguousarray(kept)) * unit(np.ascontiguousarray(h[rows[keys]]))).sum(1).numpy()
            rows[keys[cosines < _SAME]] = -1
    gone = np.flatnonzero(rows < 0)
    return rows, gone[graph.contains(gone.astype(np.uint64))] if len(gone) else gone


def _add(graph: Any, new: Int64[np.ndarray, " k"], first: int, h: Float32[np.ndarray, "n d"]) -> None:
    for start in with_progress(range(0, len(new), _AT_ONCE), "Indexing images", step=_AT_ONCE, total=len(new)):
        part = new[start : start + _AT_ONCE]
        keys = np.arange(first + start, first + start + len(part), dtype=np.uint64)
        graph.add(keys, unit(np.ascontiguousarray(h[part])).numpy().astype(np.float16), threads=cores())


def _write(graph: Any, folder: Path, encoder: str, names: list[str], earlier: dict[str, Any] | None) -> None:
    """The vectors under a new name, then index.json, which names them: an index that was killed is the earlier one."""
    make_folder(folder, "--index")
    vectors = unused_name(folder, "vectors-", ".usearch")
    try:
        graph.save(vectors)
    except (OSError, RuntimeError) as error:
        raise TwofoldError(f"cannot write the index to '{folder}' ({error}). Change --index.") from error
    about = {"format": _FORMAT, "encoder": encoder, "dim": graph.ndim, "vectors": vectors.name, "paths": names}
    write_json(folder / "index.json", about)
    if earlier:
        (folder / earlier["vectors"]).unlink(missing_ok=True)
    say(f"  index: {folder}, {vectors.stat().st_size / 1e6:,.0f} MB")
