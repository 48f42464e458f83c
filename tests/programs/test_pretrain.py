"""The processes meet on the recipe's device, wherever it is said; what comes after training stays small beside it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from twofold.distributed import World
from twofold.errors import TwofoldError
from twofold.programs.images import most_searched
from twofold.programs.pretrain import pretrain
from twofold.recipes.recipe import Recipe
from twofold.runs.run_directory import Run
from twofold.runs.weights import OwnInit


class OpenedError(Exception):
    """Stands for everything that follows."""


@pytest.mark.parametrize(
    ("recipe", "settings", "device"),
    [
        ("saved", {}, "cpu"),
        ("saved", {"device": "cuda"}, "cuda"),
        ("saved", {"device": None}, "cpu"),
        (Recipe().with_settings(device="cpu"), {}, "cpu"),
        (Recipe(), {}, "auto"),
        ("photos", {}, "auto"),
        ("photos", {"device": "cpu"}, "cpu"),
        ("cifar10-laptop", {}, "auto"),
    ],
)
def test_the_world_opens_on_the_recipes_device(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, recipe: str | Recipe, settings: dict[str, Any], device: str
) -> None:
    if recipe == "saved":
        recipe = str(tmp_path / "recipe.json")
        Path(recipe).write_text(json.dumps(Recipe().with_settings(device="cpu").to_dict()))
    opened = []

    @contextmanager
    def open_world(device: str) -> Iterator[World]:
        opened.append(device)
        raise OpenedError
        yield World()

    monkeypatch.setattr("twofold.programs.pretrain.open_world", open_world)
    with pytest.raises(OpenedError):
        pretrain(tmp_path, out=tmp_path / "run", recipe=recipe, **settings)
    assert opened == [device]


@pytest.mark.parametrize("text", [None, "{", "[]", '{"hardware": {"device": "gpu"}}'])
def test_a_recipe_that_cannot_be_read_is_refused_after_the_processes_have_met(tmp_path: Path, text: str | None) -> None:
    saved = tmp_path / "recipe.json"
    if text:
        saved.write_text(text)
    with pytest.raises(TwofoldError):
        pretrain(tmp_path, out=tmp_path / "run", recipe=str(saved))


@pytest.mark.parametrize(("steps", "size", "most"), [(1, 8, 0), (100, 256, 1600), (10_000, 4096, 50_000)])
def test_as_many_images_are_searched_for_neighbours_as_training_pays_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int, size: int, most: int
) -> None:
    record = {"plan": {"steps": steps}, "recipe": {"schedule": {"batch_size": size}}}
    monkeypatch.setattr(Run, "read_recipe", lambda _: record)
    assert most_searched(Run(tmp_path)) == most


def test_weights_to_begin_from_are_a_part_of_the_recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recipes: list[Recipe] = []

    def remember(*_arguments: Any, recipe: Recipe, **_options: Any) -> Run:
        recipes.append(recipe)
        return Run(tmp_path / "run")

    monkeypatch.setattr("twofold.programs.pretrain.run_pretraining", remember)
    monkeypatch.setattr("twofold.programs.pretrain.gallery_and_report", lambda *_a, **_k: None)
    options: dict[str, Any] = {"out": tmp_path / "run", "recipe": Recipe().with_settings(device="cpu")}
    options["init_rate"] = 0.5
    module = nn.Conv2d(3, 4, 3)
    for init, name in (
        (module, "own:torch.nn.modules.conv.Conv2d"),
        (module.state_dict(), "own:state_dict"),
        (Path("w.pth"), "w.pth"),
        ("runs/other", "runs/other"),
    ):
        pretrain(tmp_path, init=init, **options)
        found = recipes.pop().init
        assert (found.init, found.init_rate) == (name, 0.5)
        assert isinstance(found, OwnInit) is name.startswith("own:")
        if isinstance(found, OwnInit):
            assert found.weights is init
    pretrain(tmp_path, **options | {"init_rate": 1.0})
    assert recipes.pop().init == Recipe().init
    with pytest.raises(TwofoldError, match=r"init is 3 .* a path, an nn.Module or a state dict"):
        pretrain(tmp_path, init=3, **options)
