"""Which cells a study has: those that follow from what is finished, and as many as there will be in the end."""

from collections.abc import Iterable
from typing import Any

from twofold.recipes.loss import learnt_accuracy
from twofold.studies.engine.attempts import unpacked
from twofold.studies.engine.cell import Cell
from twofold.studies.engine.folder import StudyFolder
from twofold.studies.engine.results import Results
from twofold.studies.engine.scale import Scale
from twofold.studies.engine.study import Study

_PROBED = ("top1", "h", "z")  # counted on the test images, also by the versions that did not record which are right


def known_cells(study: Study, scale: Scale, seeds: int, folder: StudyFolder) -> list[Cell]:
    """All cells that follow from what is finished: those that depend on results are there when these are."""
    known = study.cells(scale, seeds, Results())
    while True:
        cells = study.cells(scale, seeds, find(folder, known, scale))
        if len(cells) == len(known):
            return cells
        known = cells


def planned_cells(study: Study, scale: Scale, seeds: int, results: Results) -> list[Cell]:
    """As many cells as there will be in the end: what is not known yet is taken as 0, so choices in it are none."""
    while True:
        cells = study.cells(scale, seeds, results)
        if results.has(cells):
            return cells
        for cell in cells:
            if not results.has([cell]):
                results.pretend(cell)


def find(folder: StudyFolder, cells: list[Cell], scale: Scale) -> Results:
    """The results of those cells that are finished."""
    return results_in((record for cell in cells if (record := folder.read(cell))), scale)


def results_in(records: Iterable[dict[str, Any]], scale: Scale, test_images: int | None = None) -> Results:
    """The results in the records of finished cells, also those of older versions, of so many test images."""
    results = Results()
    for record in records:
        cell = Cell(name=record["name"], seed=record["seed"], on=record["on"])
        right = unpacked(record.get("right", {}))
        probed = [] if test_images is None else [metric for metric in record["measure"] if metric in _PROBED]
        asked = {metric: test_images for metric in probed if metric not in right}
        results.add(cell, record["measure"], right=right, asked=asked, learnt=_has_learnt(record, scale))
    return results


def _has_learnt(record: dict[str, Any], scale: Scale) -> bool | None:
    """None where it is not recorded: of older cells the positive pairs are known, not the untrained encoder's probe.

    What may fail counts in any case.
    """
    if "learnt" in record:
        return bool(record["learnt"] or record.get("may_fail", False))
    measure = record["measure"]
    batch_size = record["recipe"].get("batch_size", scale.base.schedule.batch_size)
    pairs = measure.get("contrast_accuracy", 1.0)
    return False if "diverged" in measure or pairs < learnt_accuracy(batch_size) else None
