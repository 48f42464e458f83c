"""RUN/evaluations and RUN/transfers: each measurement in a folder, <data>-<key>, that no other call writes to."""

import json
import re
import shutil
from hashlib import blake2b
from pathlib import Path
from typing import Any

from twofold.files import make_folder, write_json
from twofold.runs.run_directory import Run

PREDICTIONS = "predictions.parquet"
CLASSIFIER = "classifier.safetensors"
_FILES = ("evaluation_details.json", "evaluation_pictures.npz", "evaluation.json")  # the last one says: it is whole


def folder_name(data: str, rows: list[dict[str, Any]]) -> str:
    """<data>-<key>: the data's last name, and a digest of the figures. Equal figures have an equal name."""
    name = re.sub(r"[^\w.-]+", "-", re.split(r"[/\\]", data.rstrip("/\\"))[-1]).strip("-.")[:60] or "data"
    return f"{name}-{blake2b(json.dumps(rows, sort_keys=True).encode(), digest_size=5).hexdigest()}"


def keep_evaluation(run: Run) -> Path | None:
    """Copy the figures that lie in RUN itself to a folder of their own, unless they are there: a call may replace them.

    So also those of older versions are kept. None where there are none, or where they are damaged.
    """
    try:
        rows = json.loads(run.evaluation.read_text(encoding="utf-8"))
        details = json.loads(run.evaluation_details.read_text(encoding="utf-8"))
        folder = run.evaluations / folder_name(str(details["data"]), rows)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not is_whole(folder):
        make_folder(folder, "RUN")
        for name in _FILES:
            if (run.folder / name).is_file():
                shutil.copy2(run.folder / name, folder / name)
    return folder


def is_whole(folder: Path) -> bool:
    """Whether a folder holds a finished evaluation."""
    return (folder / "evaluation.json").is_file()


def keep_transfer(run: Run, data: str, rows: list[dict[str, Any]], details: dict[str, Any]) -> Path:
    """Write the figures of a transfer to `data` to a folder of their own, unless they are there."""
    folder = run.transfers / folder_name(data, rows)
    if not is_whole(folder):
        make_folder(folder, "RUN")
        write_json(folder / run.evaluation_details.name, details)
        write_json(folder / run.evaluation.name, rows)
    return folder


def kept_measurements(folder: Path) -> list[Path]:
    """The folders of finished measurements in `RUN/evaluations` or `RUN/transfers`, the newest first."""
    found = [one for one in folder.glob("*") if is_whole(one)]
    return sorted(found, key=lambda folder: ((folder / "evaluation.json").stat().st_mtime, folder.name), reverse=True)
