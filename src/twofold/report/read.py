"""Run directory -> frozen dataclasses. The only file of the report that reads a run."""

import json
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from twofold.errors import TwofoldError
from twofold.runtime.record import Run


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One row of evaluation.json; `mean`, `low` and `high` (95 %) are fractions in [0, 1].

    `low` and `high` are None where a single draw leaves nothing to vary.
    """

    protocol: str
    encoder: str
    labels: int | str  # per class, or "all"
    metric: str
    mean: float
    low: float | None
    high: float | None
    seeds: int

    @property
    def bounds(self) -> tuple[float, float]:
        """The interval, or the mean twice where there is none."""
        return (self.mean if self.low is None else self.low, self.mean if self.high is None else self.high)


@dataclass(frozen=True, kw_only=True)
class Details:
    """How the measurements came about: evaluation_details.json. Counts are numbers of pictures."""

    train: int
    test: int
    classes: list[str]
    confusion: list[list[int]]  # rows truth, columns predicted
    stated: list[str]


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """A sample of pictures with their place on the map and the nearest neighbours of some: gallery.npz."""

    thumbs: UInt8[np.ndarray, "m t t 3"]
    paths: list[str]
    labels: list[str]  # "" where unknown
    xy: Float[np.ndarray, "m 2"]
    queries: Int[np.ndarray, " q"]
    neighbours: Int[np.ndarray, "q k"]
    split: str


@dataclass(frozen=True, kw_only=True)
class RunContent:
    """Everything the report shows, as it lies in the run directory; what is missing there is empty or None here."""

    folder: Path
    record: dict[str, Any]  # recipe.json
    training: list[dict[str, Any]]  # metrics.jsonl: rows with a loss
    health: list[dict[str, Any]]  # metrics.jsonl: rows with the representation's measures
    quarantine: list[dict[str, str]]
    measurements: list[Measurement]
    details: Details | None
    views: bytes | None
    gallery: Gallery | None


def read_run(folder: Path) -> RunContent:
    """Read what there is. Raises TwofoldError where there is no recipe.json, or where a file is damaged."""
    run = Run(folder)
    record = run.read_recipe()
    rows = _read_lines(run.metrics)
    return RunContent(
        folder=folder,
        record=record,
        training=[row for row in rows if "loss" in row],
        health=[row for row in rows if "h_effective_rank" in row or "z_std" in row],
        quarantine=_read_lines(run.quarantine),
        measurements=[_measurement(row) for row in _read_json(run.evaluation) or []],
        details=_details(_read_json(run.evaluation_details)),
        views=run.views.read_bytes() if run.views.is_file() else None,
        gallery=_read_gallery(run.gallery),
    )


def _read_lines(path: Path) -> list[dict[str, Any]]:
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:  # the last line of a killed run
            continue
        rows.append({name: _finite(value) for name, value in row.items()})
    return rows


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read_json(path: Path) -> Any:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(path, error) from error


def _number(value: int | float | None) -> float | None:
    return None if value is None else float(value)


def _measurement(row: dict[str, Any]) -> Measurement:
    seeds = row["seeds"]
    return Measurement(
        protocol=row["protocol"],
        encoder=row["encoder"],
        labels=row["labels"],
        metric=row["metric"],
        mean=float(row["mean"]),
        low=_number(row["low"]),
        high=_number(row["high"]),
        seeds=seeds if isinstance(seeds, int) else len(seeds),
    )


def _details(values: dict[str, Any] | None) -> Details | None:
    if values is None:
        return None
    return Details(
        train=values.get("train", 0),
        test=values.get("test", 0),
        classes=values.get("classes") or [],
        confusion=values.get("confusion") or [],
        stated=values.get("stated") or [],
    )


def _read_gallery(path: Path) -> Gallery | None:
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return Gallery(
                thumbs=arrays["thumbs"],
                paths=[str(shown) for shown in arrays["paths"]],
                labels=[str(label) for label in arrays["labels"]],
                xy=arrays["xy"],
                queries=arrays["queries"],
                neighbours=arrays["neighbours"],
                split=str(arrays["split"]),
            )
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> TwofoldError:
    return TwofoldError(
        f"'{path}' is damaged ({error}); the report needs it whole or absent. "
        f"Delete it and write it anew with 'twofold evaluate {path.parent}'."
    )
