"""The processes meet on the recipe's device, wherever it is said; what comes after training stays small beside it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from twofold.distributed import World
from twofold.errors import TwofoldError
from twofold.programs.images import most_searched
from twofold.programs.pretrain import pretrain
from twofold.recipes.recipe import Recipe
from twofold.runs.run_directory import Run


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
