"""No evaluation takes another's place."""

import json
from pathlib import Path
from typing import Any

from twofold.runs.evaluation_folder import folder_name, keep_evaluation, kept_measurements
from twofold.runs.run_directory import Run


def write(run: Run, rows: list[dict[str, Any]], data: str = "/somewhere/leaf photos/") -> None:
    run.evaluation.write_text(json.dumps(rows))
    run.evaluation_details.write_text(json.dumps({"data": data}))


def test_every_evaluation_stays_in_a_folder_of_its_own(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for mean in (0.5, 0.6, 0.5):
        write(run, [{"mean": mean}])
        folder = keep_evaluation(run)
        assert folder is not None
        assert json.loads((folder / "evaluation.json").read_text()) == [{"mean": mean}]
    kept = kept_measurements(run.evaluations)
    assert len(kept) == 2  # equal figures are one evaluation
    assert {json.loads((folder / "evaluation.json").read_text())[0]["mean"] for folder in kept} == {0.5, 0.6}


def test_what_is_kept_is_not_written_again(tmp_path: Path) -> None:
    run = Run(tmp_path)
    write(run, [{"mean": 0.5}])
    folder = keep_evaluation(run)
    assert folder is not None
    (folder / "evaluation_details.json").write_text("the user's remark")
    assert keep_evaluation(run) == folder
    assert (folder / "evaluation_details.json").read_text() == "the user's remark"


def test_a_folder_is_named_after_the_data_without_what_leads_elsewhere(tmp_path: Path) -> None:
    name = folder_name("/somewhere/leaf photos/", [])
    assert name.startswith("leaf-photos-")
    assert folder_name("../..", []).startswith("data-")
    assert "/" not in folder_name("C:\\x/y\0z", [])
    assert name != folder_name("/somewhere/leaf photos/", [{"mean": 0.5}])


def test_where_nothing_whole_lies_nothing_is_kept(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert keep_evaluation(run) is None
    write(run, [])
    run.evaluation_details.write_text("{half")
    assert keep_evaluation(run) is None
    assert kept_measurements(run.evaluations) == []
