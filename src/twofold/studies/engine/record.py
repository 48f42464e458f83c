"""A study as one JSON record: what it asks, how it was run, what every cell measured, what that says of the claims."""

import json
from typing import Any

from twofold.data import ImageSet
from twofold.hardware.device import Hardware
from twofold.studies.engine.cell import Cell
from twofold.studies.engine.claim import judge
from twofold.studies.engine.folder import StudyFolder
from twofold.studies.engine.grid import results_in
from twofold.studies.engine.results import Results
from twofold.studies.engine.scale import Scale
from twofold.studies.engine.study import Study
from twofold.studies.show.places import panel_record
from twofold.versions import versions


def build_record(
    study: Study,
    scale: Scale,
    folder: StudyFolder,
    *,
    cells: list[Cell],
    planned: int,
    images: ImageSet,
    hardware: Hardware,
    command: str,
    minutes: float | None,
) -> dict[str, Any]:
    """The record of a study; "finished" where as many of its `cells` lie in `folder` as it plans."""
    done = [record for cell in cells if (record := folder.read(cell))]
    return {
        "study": study.name,
        "asks": study.asks,
        "paper": study.paper,
        "scale": scale.name,
        "command": command,
        "data": {
            "name": images.name.rstrip("/").split("/")[-1],
            "train": len(images.rows("train")),
            "test": len(images.rows("test")),
            "fingerprint": images.fingerprint,
            "stated": images.stated,
        },
        "base": json.loads(json.dumps(scale.base.to_dict())),
        "labels": scale.labels,
        "minutes": minutes,
        "cells": done,
        "cells_planned": planned,
        "finished": len(done) == planned,
        **conclusions(study, scale, done, len(images.rows("test"))),
        "seconds": round(sum(record["seconds"] for record in done), 1),
        "hardware": hardware.describe(),
        "versions": versions(),
    }


def conclusions(study: Study, scale: Scale, cells: list[dict[str, Any]], test_images: int) -> dict[str, Any]:
    """What the records of finished cells say, by the rules of now: claims, notes and panels."""
    results = results_in(cells, scale, test_images)
    return {
        "claims": [judge(claim, results).to_dict() for claim in study.claims(scale, results)],
        "notes": [*study.notes(scale, results), *_failures(results), *_making(cells)],
        "panels": [panel_record(panel, results) for panel in study.panels(scale, results)],
    }


def _failures(results: Results) -> list[str]:
    """Which cells failed: they are in no mean."""
    failed = [
        f"{name} (seed {', '.join(map(str, seeds))})" for name in results.names() if (seeds := results.failed(name))
    ]
    return [f"Failed, and in no mean: {'; '.join(failed)}"] if failed else []


def _making(cells: list[dict[str, Any]]) -> list[str]:
    """What is not the same for all cells, or not known: rates that were lowered, and the code that measured."""
    lowered = [
        f"{one['name']}, seed {one['seed']} (by {one['rates_divided_by']:g})"
        for one in cells
        if one.get("rates_divided_by", 1) != 1
    ]
    codes = sorted({one["code"] for cell in cells if (one := cell.get("made"))})
    unknown = sum("made" not in cell for cell in cells)
    return [
        *([f"Trained again at rates divided, as nothing was learnt: {'; '.join(lowered)}"] if lowered else []),
        *([f"Cells were measured by {len(codes)} versions of the code: {', '.join(codes)}"] if len(codes) > 1 else []),
        *([f"Not recorded of {unknown} cells: versions, hardware, date and code"] if unknown else []),
    ]
