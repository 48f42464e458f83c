"""The records in docs/results say what the code of now makes of their cells."""

import json
from pathlib import Path
from typing import Any

import pytest

from twofold.recipes.recipe import Recipe
from twofold.studies import STUDIES
from twofold.studies.engine.cell import Cell
from twofold.studies.engine.claim import judge
from twofold.studies.engine.folder import described
from twofold.studies.engine.found import Found
from twofold.studies.engine.scale import get_scale
from twofold.studies.show.places import panel_record

RESULTS = Path(__file__).parents[2] / "docs" / "results"
SEEDS = 3


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("name", STUDIES)
def test_a_record_is_what_its_cells_make_it(name: str) -> None:
    record, study = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")), STUDIES[name]
    scale, found = get_scale(record["scale"]), Found()
    assert record["finished"]
    assert plain(Recipe.from_dict(record["base"]).to_dict()) == plain(scale.base.to_dict())  # new leaves: by default
    for cell in record["cells"]:
        found.add(Cell(name=cell["name"], seed=cell["seed"], on=cell["on"]), cell["measure"])
    cells = study.cells(scale, SEEDS, found)
    assert {cell.key: described(cell) for cell in cells} == {
        Cell(name=cell["name"], seed=cell["seed"], on=cell["on"]).key: {
            "recipe": cell["recipe"],
            "options": cell["options"],
        }
        for cell in record["cells"]
    }
    assert record["claims"] == plain([judge(claim, found).to_dict() for claim in study.claims(scale, found)])
    assert record["notes"] == study.notes(scale, found)
    assert record["panels"] == plain([panel_record(panel, found) for panel in study.panels(scale, found)])
