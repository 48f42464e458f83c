"""A study as one JSON record: what it asks, how it was run, what every cell measured, what that says of the claims."""

import json
from typing import Any

from twofold.data import ImageSet
from twofold.hardware.device import Hardware
from twofold.studies.engine.cell import Cell
from twofold.studies.engine.claim import judge
from twofold.studies.engine.folder import StudyFolder
from twofold.studies.engine.grid import find
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
    found = find(folder, cells)
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
        "claims": [judge(claim, found).to_dict() for claim in study.claims(scale, found)],
        "notes": study.notes(scale, found),
        "panels": [panel_record(panel, found) for panel in study.panels(scale, found)],
        "seconds": round(sum(record["seconds"] for record in done), 1),
        "hardware": hardware.describe(),
        "versions": versions(),
    }
