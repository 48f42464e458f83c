"""A run with an augmentation of the user's own: named in what is saved, continued with the same one alone."""

import json
from pathlib import Path

import pytest
import torch

from own_augmentation import Darken
from pictures import write_pictures
from small_recipe import SMALL
from twofold.errors import TwofoldError
from twofold.recipes.augmentation import Op
from twofold.recipes.recipe import Recipe
from twofold.runs.encoder_file import load
from twofold.runs.run_directory import Run
from twofold.training.loop import pretrain


def with_ops(*ops: object, **settings: object) -> Recipe:
    return SMALL.with_settings(ops=ops, epochs=2.0, **settings)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("own")
    write_pictures(home / "data", per_class=16)
    return home


def run(home: Path, name: str, recipe: Recipe) -> Run:
    return pretrain(home / "data", out=home / name, recipe=recipe, cache=home / "cache")


def weights(one: Run) -> torch.Tensor:
    return torch.cat([tensor.flatten().float() for tensor in load(one.folder).encoder.state_dict().values()])


def test_it_is_saved_by_name_and_a_continued_run_compares_it(home: Path) -> None:
    first = run(home, "run", with_ops("policy", Op(augmentation=Darken(0.25), prob=0.5)))
    (_, own) = json.loads(first.recipe.read_text())["recipe"]["views"]["ops"]
    assert own == {
        "name": "darken",
        "prob": 0.5,
        "range": [],
        "branch": "each",
        "own": "own_augmentation:Darken(most=0.25)",
    }
    trained = weights(first)
    assert torch.equal(trained, weights(run(home, "run", with_ops("policy", Op(augmentation=Darken(0.25), prob=0.5)))))
    for other in (Op(augmentation=Darken(0.5), prob=0.5), Op(augmentation=Darken(0.25)), "flip"):
        with pytest.raises(TwofoldError, match=r"^ops is \(policy, .* was begun with .*Darken\(most=0.25\)@0.5"):
            run(home, "run", with_ops("policy", other))
    saved = Recipe.from_dict(json.loads(first.recipe.read_text())["recipe"])
    with pytest.raises(TwofoldError, match="a saved recipe does not hold it"):
        run(home, "again", saved)
    assert not (home / "again" / "recipe.json").exists()


def test_one_that_fails_is_refused_before_anything_is_written(home: Path) -> None:
    class Broken(Darken):
        def apply(self, images: torch.Tensor, values: object) -> torch.Tensor:
            raise KeyError("stain")

    with pytest.raises(TwofoldError, match=r"the augmentation 'darken' failed on 4 images .KeyError: 'stain'"):
        run(home, "broken", with_ops("crop", Broken()))
    assert not (home / "broken" / "recipe.json").exists()
