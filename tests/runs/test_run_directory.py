"""The run directory: metrics rewind, one writer, refusals by name."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from twofold.errors import TwofoldError
from twofold.recipes.recipe import Recipe
from twofold.runs.run_directory import Run, open_run, require_same_pictures, require_same_settings


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    hold = f"with open_run({str(tmp_path / 'run')!r}): print('in', flush=True); input()"
    code = f"from twofold.runs.run_directory import open_run\n{hold}"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "in\n"
        with pytest.raises(TwofoldError, match="in use"), open_run(tmp_path / "run"):
            pass
        holder.communicate("\n")
    with open_run(tmp_path / "run"):
        pass


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(TwofoldError, match=r"holiday\.jpg"), open_run(tmp_path):
        pass


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TwofoldError, match="--out"), open_run(tmp_path / "file" / "run"):
        pass


@pytest.mark.parametrize("content", ["{", ""])
def test_a_damaged_recipe_is_one_clear_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "recipe.json").write_text(content)
    with pytest.raises(TwofoldError, match="damaged"):
        Run(tmp_path).read_recipe()


@pytest.mark.parametrize("content", ["{}", "[]", "null", '{"recipe": {}}', "\xff"])
def test_a_record_with_something_missing_is_one_clear_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "recipe.json").write_text(content, encoding="latin-1")
    with pytest.raises(TwofoldError, match="damaged"):
        Run(tmp_path).read_recipe()


def test_a_changed_setting_or_other_pictures_are_refused_by_name(tmp_path: Path) -> None:
    begun = Recipe()
    record = {"recipe": json.loads(json.dumps(begun.to_dict())), "data": {"fingerprint": "a" * 20}}
    require_same_settings(Run(tmp_path), record, begun)
    require_same_settings(Run(tmp_path), record, begun.with_settings(crop_area=(0.08, 1.0)))
    with pytest.raises(TwofoldError, match=r"temperature is 0\.5, but .* begun with 0\.1"):
        require_same_settings(Run(tmp_path), record, begun.with_settings(temperature=0.5))
    require_same_pictures(Run(tmp_path), record, "a" * 20)
    with pytest.raises(TwofoldError, match="images differ"):
        require_same_pictures(Run(tmp_path), record, "b" * 20)
