"""Every command that reads a table refuses what leads out of its folder, and takes --allow-outside."""

import json
import sys
from pathlib import Path

import pytest

from pictures import write_pictures
from small_recipe import SMALL
from twofold.cli import main as cli
from twofold.speed import sweep
from twofold.training.loop import pretrain

TINY = (
    "--size-px 16 --policy small --encoder resnet10 --stages 1 --width 0.25 --stem strided --device cpu "
    "--precision fp32 --batch-size 16 --epochs 0.5"
)
COMMANDS = {
    "pretrain": f"pretrain {{table}} --out {{new}} --cache {{cache}} {TINY}",
    "bench": f"bench {{table}} --out {{new}}.json --seconds 0.5 --cache {{cache}} {TINY}",
    "evaluate": "evaluate {run} --data {table} --protocol knn --shots 1 --seeds 1 --few-seeds 1 --cache {cache}",
    "transfer": "transfer {run} --to {table} --protocol knn --seeds 1 --cache {cache}",
    "embed": "embed {run} {table} --out {new}.parquet --cache {cache}",
    "study": "study head --data {table} --seeds 1 --minutes 0.01 --plan --cache {cache}",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """images/, a run on them, and elsewhere/list.csv, which names them."""
    home = tmp_path_factory.mktemp("outside")
    data = write_pictures(home / "images", per_class=8, splits=("train", "test"))
    pretrain(data, out=home / "run", recipe=SMALL, cache=home / "cache")
    (home / "elsewhere").mkdir()
    places = [path.relative_to(data) for path in sorted(data.rglob("*.png"))]
    lines = [f"../images/{place},{place.parts[1]},{place.parts[0]}" for place in places]
    (home / "elsewhere" / "list.csv").write_text("\n".join(["path,label,split", *lines, ""]))
    return home


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_refuses_and_with_the_flag_reads(
    home: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_MATRIX", {"cpu": 256})
    places = {"table": home / "elsewhere" / "list.csv", "run": home / "run", "new": tmp_path / "new"}
    words = COMMANDS[command].format(cache=home / "cache", **places).split()
    monkeypatch.setattr(sys, "argv", ["twofold", *words])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert "line 2 of" in str(stop.value.code)
    assert "--allow-outside" in str(stop.value.code)
    monkeypatch.setattr(sys, "argv", ["twofold", *words, "--allow-outside"])
    cli.main()


def test_the_permission_is_no_part_of_the_run(home: Path) -> None:
    """It belongs to the call: a recipe.json from elsewhere grants nothing."""
    assert "allow_outside" not in json.dumps(json.loads((home / "run" / "recipe.json").read_text()))
