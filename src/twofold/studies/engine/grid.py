"""Which cells a study has: those that follow from what is finished, and as many as there will be in the end."""

from twofold.studies.engine.cell import Cell
from twofold.studies.engine.folder import StudyFolder
from twofold.studies.engine.found import Found
from twofold.studies.engine.scale import Scale
from twofold.studies.engine.study import Study


def known_cells(study: Study, scale: Scale, seeds: int, folder: StudyFolder) -> list[Cell]:
    """All cells that follow from what is finished: those that depend on results are there when these are."""
    known = study.cells(scale, seeds, Found())
    while True:
        cells = study.cells(scale, seeds, find(folder, known))
        if len(cells) == len(known):
            return cells
        known = cells


def planned_cells(study: Study, scale: Scale, seeds: int, found: Found) -> list[Cell]:
    """As many cells as there will be in the end: what is not known yet is taken as 0, so choices in it are none."""
    while True:
        cells = study.cells(scale, seeds, found)
        if found.has(cells):
            return cells
        for cell in cells:
            if not found.has([cell]):
                found.pretend(cell)


def find(folder: StudyFolder, cells: list[Cell]) -> Found:
    """The values of those cells that are finished."""
    found = Found()
    for cell in cells:
        if record := folder.read(cell):
            found.add(cell, record["measure"])
    return found
