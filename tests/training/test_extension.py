"""A finished run that goes on equals, bit for bit, a new run from its weights; what cannot be honoured is refused."""

import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch

from pictures import write_pictures
from small_recipe import SMALL
from twofold.cli import main as cli
from twofold.errors import TwofoldError
from twofold.evaluation import build_knn_monitor
from twofold.recipes.recipe import Recipe
from twofold.runs.checkpoint import load_checkpoint
from twofold.runs.encoder_file import load
from twofold.runs.run_directory import Run
from twofold.training import extension, loop
from twofold.training.extension import Part
from twofold.training.loop import pretrain

RECIPE = SMALL.with_settings(z_dim=8, batch_size=8, epochs=1.0, optimizer="sgd", base_lr=3.0, chunk=4)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """images/, cache/, and run/, which is finished: 3 steps of 8 of 24 images."""
    folder = tmp_path_factory.mktemp("home")
    write_pictures(folder / "images", per_class=8, splits=("train", "test"))
    train(folder, folder / "run")
    return folder


def train(home: Path, out: Path, data: str = "images", **settings: Any) -> Run:
    recipe, monitors = RECIPE.with_settings(**settings), (build_knn_monitor,)
    return pretrain(home / data, out=out, recipe=recipe, cache=home / "cache", monitors=monitors)


def copy(home: Path, folder: Path) -> Path:
    return Path(shutil.copytree(home / "run", folder / "run"))


def require_equal(first: Path, second: Path) -> None:
    own, other = safetensors.torch.load_file(first), safetensors.torch.load_file(second)
    assert own.keys() == other.keys()
    assert [name for name, tensor in own.items() if not tensor.equal(other[name])] == []


def steps_logged(run: Run) -> list[tuple[int, float]]:
    rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    return [(row["step"], row["epoch"]) for row in rows if "loss" in row]


def test_more_epochs_equal_a_new_run_from_the_weights_bit_for_bit(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    longer = train(home, copy(home, tmp_path), epochs=3.0)
    assert "ended at step 3, after 1 epochs. It goes on for 2 epochs with a schedule" in capsys.readouterr().out
    fresh = train(home, tmp_path / "fresh", epochs=2.0, seed=1, init=str(home / "run"))
    ours, theirs = (load_checkpoint(run.checkpoints) for run in (longer, fresh))
    assert ours is not None
    assert theirs is not None
    assert (ours["step"], theirs["step"]) == (9, 6)
    require_equal(longer.encoder, fresh.encoder)
    assert [name for name, tensor in ours["model"].items() if not tensor.equal(theirs["model"][name])] == []
    for place, state in ours["optimizer"]["state"].items():
        assert state["momentum_buffer"].equal(theirs["optimizer"]["state"][place]["momentum_buffer"])
    losses = [
        [row["loss"] for row in map(json.loads, run.metrics.read_text().splitlines()) if "loss" in row]
        for run in (longer, fresh)
    ]
    assert losses[0][-6:] == losses[1]
    assert steps_logged(longer) == [(step, pytest.approx(step / 3)) for step in range(1, 10)]


def test_an_order_that_begins_again_would_be_seen(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same seed in every part would show the same views in the same order again."""
    monkeypatch.setattr(Part, "number", property(lambda self: bool(self.earlier) and 7))
    with pytest.raises(AssertionError):
        test_more_epochs_equal_a_new_run_from_the_weights_bit_for_bit(home, tmp_path, capsys)


def test_what_belongs_to_the_encoder_before_is_kept_aside(home: Path, tmp_path: Path) -> None:
    folder = copy(home, tmp_path)
    before = (folder / "encoder.safetensors").read_bytes()
    (folder / "evaluation.json").write_text("[]")
    (folder / "report.html").write_text("old")
    run = train(home, folder, epochs=2.0)
    aside = folder / "earlier" / "step-000000003"
    assert (aside / "encoder.safetensors").read_bytes() == before != run.encoder.read_bytes()
    assert sorted(path.name for path in aside.iterdir()) == ["encoder.safetensors", "evaluation.json", "report.html"]
    assert not run.evaluation.exists()
    assert load(aside / "encoder.safetensors").recipe.schedule.epochs == 1.0
    record = run.read_recipe()
    assert record["recipe"]["schedule"]["epochs"] == 2.0
    assert record["recipe"]["schedule"]["seed"] == 0
    assert (record["steps"], record["plan"]["steps"]) == (6, 3)
    assert [part["steps"] for part in record["earlier"]] == [3]
    assert load(folder).recipe == Recipe.from_dict(record["recipe"])


def test_a_part_that_was_stopped_continues_at_its_step(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = train(home, tmp_path / "whole" / "run", epochs=1.0)
    train(home, whole.folder, epochs=3.0)
    folder = copy(home, tmp_path)
    step = loop.train_step

    def stopping(state: Any, *arguments: Any, **options: Any) -> Any:
        if state.run_step == 5:
            raise KeyboardInterrupt
        return step(state, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", stopping)
        with pytest.raises(KeyboardInterrupt):
            train(home, folder, epochs=3.0, checkpoint_minutes=0.0)
    capsys.readouterr()
    run = train(home, folder, epochs=3.0)
    said = capsys.readouterr().out
    assert "Continuing at step 5 of 9" in said
    assert "It goes on for" not in said
    require_equal(run.encoder, whole.encoder)
    again = train(home, folder, epochs=4.0)
    assert [part["steps"] for part in again.read_recipe()["earlier"]] == [3, 9]
    assert steps_logged(again)[-1] == (12, pytest.approx(4.0))


def test_more_images_are_taken_and_fewer_refused(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, more, fewer = copy(home, tmp_path), tmp_path / "more", tmp_path / "fewer"
    write_pictures(more, per_class=11, splits=("train", "test"))
    write_pictures(fewer, per_class=7, splits=("train", "test"))
    with pytest.raises(TwofoldError, match=r"differ .* --init \S+ .*A finished run goes on with more images"):
        train(home, folder, str(more))
    with pytest.raises(TwofoldError, match=r"21 to train on, not more than its 24; .*--init"):
        train(home, folder, str(fewer), epochs=2.0)
    assert not (folder / "earlier").exists()
    capsys.readouterr()
    run = train(home, folder, str(more), epochs=2.0)
    assert "33 to train on (were 24)" in capsys.readouterr().out
    assert run.read_recipe()["data"]["images"] == 33
    assert run.read_recipe()["steps"] == 3 + 4
    assert steps_logged(run)[-1] == (7, pytest.approx(1 + 4 * 8 / 33))


def test_other_minutes_between_checkpoints_and_another_place_of_the_data(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, moved = copy(home, tmp_path), tmp_path / "moved"
    shutil.copytree(home / "images", moved)
    run = train(home, folder, str(moved), checkpoint_minutes=7.0, monitor_share=0.5)
    assert "checkpoint_minutes is 7.0 from here on (was 2.0)" in capsys.readouterr().out
    assert run.read_recipe()["recipe"]["monitor"] == {"checkpoint_minutes": 7.0, "monitor_share": 0.5}
    require_equal(run.encoder, home / "run" / "encoder.safetensors")
    train(home, folder, str(moved), checkpoint_minutes=7.0, monitor_share=0.5)
    assert "from here on" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"temperature": 0.5},
            r"temperature is 0.5, .*begun with 0.1.*'twofold pretrain \S+images --out NEW --init \S+",
        ),
        ({"temperature": 0.5, "epochs": 2.0}, r"temperature is 0.5, but .*--temperature 0.5'"),
        ({"epochs": 0.5}, r"epochs is 0.5, but .* begun with 1.0"),
        ({"minutes": 1.0}, r"epochs is None, but .* begun with 1.0"),
    ],
)
def test_what_cannot_be_honoured_names_the_command_that_would_do_it(
    home: Path, tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    folder = copy(home, tmp_path)
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(TwofoldError, match=words) as caught:
        train(home, folder, **settings)
    assert re.search(rf"--init {re.escape(str(folder))}", str(caught.value))
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_run_that_is_not_finished_ends_first(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copy(home, tmp_path)
    monkeypatch.setattr(extension, "newest_checkpoint", lambda _: {"step": 2})
    with pytest.raises(TwofoldError, match=r"stands at step 2 of 3: .*Let it end with --epochs 1; --epochs 9 then"):
        train(home, folder, epochs=9.0)


def test_the_command_that_is_named_is_what_it_says(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, recipes = copy(home, tmp_path), list[Recipe]()
    with pytest.raises(TwofoldError, match=r"temperature is 0.5") as caught:
        train(home, folder, temperature=0.5)
    command = re.search(r"'(twofold pretrain [^']*)'", str(caught.value))
    assert command

    def remember(data: str, *, recipe: Recipe, out: Path, **_options: Any) -> Run:
        assert (data, out.name) == (str(home / "images"), "NEW")
        recipes.append(recipe)
        return Run(folder)

    monkeypatch.setattr("twofold.programs.pretrain.run_pretraining", remember)
    monkeypatch.setattr("twofold.programs.pretrain.gallery_and_report", lambda *_a, **_k: None)
    monkeypatch.setattr(sys, "argv", shlex.split(command[1]))
    cli.main()
    before = Recipe.from_dict(Run(folder).read_recipe()["recipe"])
    assert recipes == [before.with_settings(temperature=0.5, init=str(folder))]
