"""What an untrained encoder gets, measured once for all cells that have the same one."""

import hashlib
import json
from pathlib import Path

from twofold.files import write_json
from twofold.studies.engine.measures import Task, measure_untrained


def untrained_top1(task: Task, folder: Path) -> float:
    """top1 of the probe on the cell's encoder before training; it is kept in `folder`, and taken from there."""
    recipe, data = task.recipe, task.recipe.data
    views = (recipe.views.size_px, recipe.views.embedding_px, recipe.views.interpolation)
    asked = (task.cell.on, task.labels, data.selection_fraction, data.data_seed)
    key = hashlib.sha256(repr((recipe.encoder, data.channels, views, asked)).encode()).hexdigest()[:16]
    path = folder / f"untrained-{key}.json"
    if path.exists():
        return float(json.loads(path.read_text(encoding="utf-8"))["top1"])
    top1 = measure_untrained(task)
    write_json(path, {"top1": top1})
    return top1
