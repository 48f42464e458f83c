"""Ops as data: their notation, the user's own among them, and what of them a saved recipe keeps."""

import json
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twofold.errors import TwofoldError
from twofold.recipes.augmentation import BRANCHES, OPS, as_ops, parse_op
from twofold.recipes.recipe import Op, Recipe, ViewsRecipe
from twofold.views import build_policy


class Stain:
    name = "stain"

    def __init__(self, strength: float = 0.5, matrix: Any = None) -> None:
        self.strength, self._hidden = strength, object()
        if matrix is not None:
            self.matrix = matrix

    def draw(self, m: int, generator: Any) -> Any:
        return generator

    def apply(self, images: Any, values: Any) -> Any:
        return images


@dataclass
class Plain:
    """Without a name of its own."""

    low: float = 0.0

    def draw(self, m: int, generator: Any) -> Any:
        return generator

    def apply(self, images: Any, values: Any) -> Any:
        return images


class Blur(Stain):
    name = "blur"


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("prob", [1.0, 0.1 + 0.2, 0.0])
def test_the_notation_says_all_of_an_op(name: str, branch: str, prob: float) -> None:
    usual = parse_op(name)
    op = Op(name=name, prob=prob, range=usual.range, branch=branch)
    assert parse_op(str(op)) == op
    assert repr(op) == str(op)
    assert len(usual.range) == OPS[name]


def test_the_notation_read_by_hand() -> None:
    assert parse_op("flip@0.5") == Op(name="flip", prob=0.5)
    assert parse_op("blur/b@0.5=0.1,2") == Op(name="blur", prob=0.5, range=(0.1, 2.0), branch="b")
    assert parse_op("rotate=-1,2") == Op(name="rotate", range=(-1.0, 2.0))
    assert parse_op("jitter") == Op(name="jitter", range=(0.8, 0.8, 0.8, 0.2))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("flipp", "did you mean 'flip'"),
        ("", "is not an op"),
        ("flip@", "is not an op"),
        ("flip@half", "could not convert.*NAME@PROBABILITY"),
        ("flip@2", "prob is 2.0"),
        ("crop=0.5", "range is .* 2 numbers"),
        ("crop=0.9,0.1", "low, high in order"),
        ("flip/c", "unknown branch 'c'"),
        ("rotate-degrees=-190,0", r"degrees in \[-180, 180\]"),
        ("rotate=0,1e30", r"whole quarter turns in \[-4, 4\]"),
        ("rotate=0,inf", "finite numbers"),
        ("blur=0.1,inf", "finite numbers"),
        ("jitter=inf,0,0,0", "finite numbers"),
    ],
)
def test_a_bad_notation_is_one_clear_error(text: str, words: str) -> None:
    with pytest.raises(TwofoldError, match=words):
        parse_op(text)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of the user's in the folder that the command runs in."""
    text = "from twofold.views.augmentations import Flip\nflip, number, broken = Flip(), 3, None\n"
    text += "class Mine:\n    draw = apply = lambda self, *_: None\n"
    (tmp_path / "my_own_module.py").write_text(text)
    (tmp_path / "my_bad_module.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    yield "my_own_module"
    monkeypatch.delitem(__import__("sys").modules, "my_own_module", raising=False)


def test_module_and_name_name_an_object_or_a_class(module: str) -> None:
    mine = parse_op(f"{module}:Mine@0.25")
    assert (mine.name, mine.prob, mine.own) == ("Mine", 0.25, f"{module}:Mine")
    assert type(mine.augmentation).__name__ == "Mine"
    assert str(mine) == f"{module}:Mine@0.25"
    assert parse_op(str(mine)) == mine


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no_such_module:X", "cannot be imported.*No module named"),
        ("my_bad_module:X", "cannot be imported.*ZeroDivisionError"),
        ("my_own_module:Other", "has no 'Other'"),
        ("my_own_module:number", "is of the type int.*draw"),
    ],
)
def test_what_names_no_augmentation_is_one_clear_error(module: str, text: str, words: str) -> None:
    with pytest.raises(TwofoldError, match=words) as caught:
        parse_op(text)
    assert "\n" not in str(caught.value)


def test_an_object_is_told_apart_by_its_class_and_its_public_attributes() -> None:
    one, same, other = (Op(augmentation=Stain(x)) for x in (0.5, 0.5, 0.25))
    assert one == same
    assert one != other
    assert one.name == "stain"
    assert one.own == f"{__name__}:Stain(strength=0.5)"
    assert Op(augmentation=Plain(0.1)).name == "Plain"
    assert Op(augmentation=Plain(0.1)) != Op(augmentation=Plain(0.2))
    arrays = [Op(augmentation=Stain(matrix=np.eye(3) * x)) for x in (1, 1, 2)]
    assert arrays[0] == arrays[1] != arrays[2]


def test_a_list_of_ops_takes_texts_ops_and_objects() -> None:
    views = Recipe().with_settings(ops=["crop", Op(name="flip"), Stain()]).views
    assert views.ops == (Op(name="crop", range=(0.08, 1.0)), Op(name="flip"), Op(augmentation=Stain()))
    assert as_ops("crop") == "crop", "no list: the recipe refuses it"


def test_an_own_augmentation_has_neither_a_range_nor_the_name_of_another() -> None:
    with pytest.raises(TwofoldError, match="'blur', but it must be a name that no built-in op has"):
        Op(augmentation=Blur())
    with pytest.raises(TwofoldError, match=r"range is .* empty"):
        Op(augmentation=Stain(), range=(0.1, 0.2))


def test_a_saved_recipe_names_it_and_holds_no_object() -> None:
    recipe = Recipe().with_settings(ops=("crop", Op(augmentation=Stain(0.25), prob=0.5, branch="b")))
    values = json.loads(json.dumps(recipe.to_dict()))
    own = f"{__name__}:Stain(strength=0.25)"
    assert values["views"]["ops"][1] == {"name": "stain", "prob": 0.5, "range": [], "branch": "b", "own": own}
    assert "own" not in values["views"]["ops"][0], "built-in ops are saved as before"
    again = Recipe.from_dict(values)
    assert again == recipe
    assert again.views.ops is not None
    assert again.views.ops[1].augmentation is None
    assert pickle.loads(pickle.dumps(recipe)) == recipe, "also where the object itself cannot be sent"


def test_the_named_policy_stands_in_a_list() -> None:
    views = Recipe().with_settings(ops=("policy", Stain()), strength=0.5, grayscale_prob=0.0).views
    named = build_policy(ViewsRecipe(strength=0.5, grayscale_prob=0.0))
    assert build_policy(views) == (*named, Op(augmentation=Stain()))


def test_a_setting_of_the_policy_is_refused_where_a_list_took_its_place() -> None:
    listed = Recipe().with_settings(ops=("crop", "flip"))
    for name, value in (("strength", 0.5), ("grayscale_prob", 0.0), ("jitter", (0.1, 0.1, 0.1, 0.1))):
        with pytest.raises(TwofoldError, match=rf"^{name} is .* one by one.*--ops None"):
            listed.with_settings(**{name: value})
        assert listed.with_settings(**{name: value}, ops=None).settings()[name] == value
        assert listed.with_settings(**{name: value}, ops=("policy",)).settings()[name] == value
