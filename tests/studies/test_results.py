"""The records in docs/results say what the code of now makes of their cells."""

import json
from pathlib import Path
from typing import Any

import pytest

from twofold.recipes.recipe import Recipe
from twofold.studies import STUDIES
from twofold.studies.engine.cell import Cell
from twofold.studies.engine.folder import described
from twofold.studies.engine.grid import results_in
from twofold.studies.engine.record import conclusions
from twofold.studies.engine.scale import get_scale

RESULTS = Path(__file__).parents[2] / "docs" / "results"


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("name", STUDIES)
def test_a_record_is_what_its_cells_make_it(name: str) -> None:
    record, study = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")), STUDIES[name]
    scale = get_scale(record["scale"]).of(name)
    assert record["finished"]
    assert plain(Recipe.from_dict(record["base"]).to_dict()) == plain(scale.base.to_dict())  # new leaves: by default
    found = results_in(record["cells"], scale, record["data"]["test"])
    cells = {cell.key: described(cell) for cell in study.cells(scale, scale.seeds, found)}
    recorded = {
        Cell(name=cell["name"], seed=cell["seed"], on=cell["on"]).key: {
            "recipe": cell["recipe"],
            "options": cell["options"],
        }
        for cell in record["cells"]
    }
    assert cells == recorded
    assert {key: record[key] for key in ("claims", "notes", "panels")} == plain(
        conclusions(study, scale, record["cells"], record["data"]["test"])
    )
