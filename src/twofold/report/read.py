"""Run directory -> frozen dataclasses. The only file of the report that reads a run."""

import json
import math
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from twofold.curation.result_folder import ANSWER
from twofold.errors import TwofoldError
from twofold.report.content import (
    ClassShare,
    Details,
    Difference,
    Gallery,
    KeptEvaluation,
    LookAlikes,
    Measurement,
    Mistake,
    RunContent,
    Target,
    Transfer,
    Use,
)
from twofold.runs.evaluation_folder import kept_measurements
from twofold.runs.run_directory import Run

T = TypeVar("T")
_COUNTS = ("searched", "images", "split_images")
ACCURACIES = ("top1", "mean_per_class")


def _of_today(row: dict[str, Any]) -> dict[str, Any]:
    """A look at the representation, by the names of today: `pair_accuracy` was once `twin_accuracy`."""
    return {{"twin_accuracy": "pair_accuracy"}.get(name, name): value for name, value in row.items()}


def read_run(folder: Path) -> RunContent:
    """Read what there is. Raises TwofoldError where there is no recipe.json, or where a file is damaged."""
    run = Run(folder)
    record = run.read_recipe()
    rows = _read_lines(run.metrics)
    mistakes, look_alikes = _read_arrays(run.evaluation_pictures, _evaluation_pictures) or ([], [])
    return RunContent(
        folder=folder,
        record=record,
        training=[row for row in rows if "loss" in row],
        health=[_of_today(row) for row in rows if "h_effective_rank" in row or "z_std" in row],
        quarantine=_read_lines(run.quarantine),
        measurements=_read_json(run.evaluation, _measurements) or [],
        details=_read_json(run.evaluation_details, _details),
        views=run.views.read_bytes() if run.views.is_file() else None,
        gallery=_read_arrays(run.gallery, _gallery),
        mistakes=mistakes,
        look_alikes=look_alikes,
        transfer=Transfer(
            measurements=_read_json(run.transfer, _measurements) or [],
            **(_read_json(run.transfer_details, _transfer_details) or {}),
        ),
        kept=_read_kept(run),
        uses=_read_uses(folder),
    )


def _read_kept(run: Run) -> list[KeptEvaluation]:
    """The evaluations in RUN/evaluations without the one whose figures lie in RUN itself."""
    current = _read_json(run.evaluation, _measurements)
    kept = []
    for folder in kept_measurements(run.evaluations):
        measurements = _read_json(folder / run.evaluation.name, _measurements) or []
        details = _read_json(folder / run.evaluation_details.name, _details)
        if measurements != current and details is not None:
            kept.append(KeptEvaluation(name=folder.name, measurements=measurements, details=details))
    return kept


def _read_uses(folder: Path) -> list[Use]:
    """Of each folder with an answer whose page is there, by the folder's name."""
    uses = []
    for path in sorted(folder.glob(f"*/{ANSWER}")):
        use = _read_json(path, partial(_use, folder=path.parent.name))
        if use is not None and (folder / use.page).is_file():
            uses.append(use)
    return uses


def _use(values: Any, folder: str) -> Use:
    page = Path(str(values["page"])).name  # in that folder, whatever it says
    return Use(title=str(values["title"]), page=f"{folder}/{page}", said=[str(line) for line in values["said"]])


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


def _read_json(path: Path, build: Callable[[Any], T]) -> T | None:
    """What `build` makes of a file's values; None without the file."""
    if not path.is_file():
        return None
    try:
        return build(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, error) from error


def _read_arrays(path: Path, build: Callable[[Any], T]) -> T | None:
    """What `build` makes of a file's arrays; None without the file."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return build(arrays)
    except (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from error


def _share(value: int | float) -> float:
    """A number that a page can show: NaN would end all its charts."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    return float(value)


def _interval(row: dict[str, Any]) -> dict[str, float | None]:
    return {name: None if row[name] is None else _share(row[name]) for name in ("low", "high")}


def _counts(row: dict[str, Any]) -> dict[str, Any]:
    """The fields that measurements and differences share."""
    seeds, labels = row["seeds"], row["labels"]
    if not isinstance(labels, int | float | str):
        raise ValueError(f"labels {labels}")
    return {
        **{name: str(row[name]) for name in ("protocol", "encoder", "metric")},
        "labels": labels,
        **_interval(row),
        "mean": _share(row["mean"]),
        "seeds": seeds if isinstance(seeds, int) else len(seeds),
        "data": str(row.get("data", "")),
        "over": str(row.get("over", "seeds")),
    }


def _measurements(rows: Any) -> list[Measurement]:
    return [Measurement(**_counts(row), best=row.get("best") is True) for row in rows]


def _differences(values: dict[str, Any]) -> list[Difference]:
    return [
        Difference(
            **_counts(row),
            against_protocol=row["against_protocol"],
            against_encoder=row["against_encoder"],
        )
        for row in values.get("differences") or []
    ]


def _details(values: Any) -> Details:
    return Details(
        data=str(values.get("data", "")),
        train=values.get("train", 0),
        test=values.get("test", 0),
        classes=values.get("classes") or [],
        confusion=values.get("confusion") or [],
        stated=values.get("stated") or [],
        labels_per_class={key: _share(count) for key, count in (values.get("labels_per_class") or {}).items()},
        differences=_differences(values),
        per_class=[
            ClassShare(name=str(row["class"]), count=int(row["count"]), share=_share(row["share"]), **_interval(row))
            for row in values.get("per_class") or []
        ],
        test_also_in_train=int(values.get("test_also_in_train") or 0),
        caveats=_sentences(values.get("caveats")),
        cross_validated=values.get("cross_validated") is True,
        majority={name: _share(share) for name, share in (values.get("majority") or {}).items() if name in ACCURACIES},
        main=(main["protocol"], main["labels"]) if (main := values.get("main")) else ("linear", "all"),
    )


def _transfer_details(values: Any) -> dict[str, Any]:
    targets = [
        Target(
            data=str(row["data"]),
            **{name: int(row[name]) for name in ("train", "test", "classes")},
            split=str(row["split"]),
            test_also_in_train=int(row.get("test_also_in_train") or 0),
            caveats=_sentences(row.get("caveats")),
        )
        for row in values.get("targets") or []
    ]
    return {"targets": targets, "differences": _differences(values), "stated": values.get("stated") or []}


def _sentences(values: Any) -> list[str]:
    return [str(sentence) for sentence in values or []]


def _gallery(arrays: Any) -> Gallery:
    """Earlier versions wrote no counts, and looked for neighbours among the images of the map alone."""
    return Gallery(
        thumbs=arrays["thumbs"],
        paths=[str(shown) for shown in arrays["paths"]],
        labels=[str(label) for label in arrays["labels"]],
        xy=arrays["xy"],
        queries=arrays["queries"],
        neighbours=arrays["neighbours"],
        split=str(arrays["split"]),
        **{name: int(arrays[name]) if name in arrays else 0 for name in _COUNTS},
    )


def _evaluation_pictures(arrays: Any) -> tuple[list[Mistake], list[LookAlikes]]:
    said = [arrays[f"mistake_{name}"] for name in ("paths", "truth", "predicted", "confidence")]
    mistakes = [
        Mistake(
            thumb=thumb,
            path=str(path),
            truth=str(truth),
            predicted=str(predicted),
            confidence=_share(float(confidence)),
        )
        for thumb, path, truth, predicted, confidence in zip(_thumbs(arrays["mistake_thumbs"], 4), *said, strict=True)
    ]
    said = [arrays[f"pair_{name}"] for name in ("paths", "labels", "similarity")]
    pairs = [
        LookAlikes(thumbs=thumbs, paths=paths.tolist(), labels=labels.tolist(), similarity=_share(float(similarity)))
        for thumbs, paths, labels, similarity in zip(_thumbs(arrays["pair_thumbs"], 5), *said, strict=True)
    ]
    return mistakes, pairs


def _thumbs(pixels: np.ndarray, dimensions: int) -> np.ndarray:
    if pixels.dtype != np.uint8 or pixels.ndim != dimensions or pixels.shape[-1] != 3:
        raise ValueError(f"images of shape {pixels.shape} and type {pixels.dtype}")
    return pixels


def _damaged(path: Path, error: Exception) -> TwofoldError:
    anew = f"write it again with 'twofold evaluate {path.parent}'"
    if path.name.startswith("transfer"):
        anew = f"write it again with 'twofold transfer {path.parent} --to DATA'"
    return TwofoldError(f"'{path}' is damaged ({error}); the report needs it whole or absent. Delete it and {anew}.")
