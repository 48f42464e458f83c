"""Recipes validate themselves, survive a trip through JSON and can be changed by name."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from twofold.errors import TwofoldError
from twofold.recipes.named import NAMES, Found, build_recipe, describe_recipes, load_recipe
from twofold.recipes.recipe import OPS, LossRecipe, Op, Recipe, ScheduleRecipe, ViewsRecipe, setting_owners

FOUND = Found(pictures=5000, short_side_px=200, channels=3, gpu_gib=None)


@pytest.mark.parametrize("name", NAMES)
def test_named_recipes_survive_json(name: str) -> None:
    recipe, _ = build_recipe(name, lambda: FOUND)
    assert recipe.name == name
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_a_list_of_ops_survives_json() -> None:
    ops = (
        Op(name="crop", range=(0.1, 1.0)),
        Op(name="rotate", prob=0.5, range=(1.0, 3.0)),
        Op(name="sobel", prob=0.1, branch="b"),
    )
    recipe = Recipe(views=ViewsRecipe(ops=ops))
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_a_recipe_saved_before_there_were_other_losses_is_the_same_recipe() -> None:
    recipe = Recipe(views=ViewsRecipe(ops=(Op(name="crop", range=(0.1, 1.0)),)))
    values = json.loads(json.dumps(recipe.to_dict()))
    values["loss"] = {"temperature": values["loss"]["temperature"]}
    del values["views"]["one_branch"], values["views"]["ops"][0]["branch"]
    for name in ("vertical_flip_prob", "rotate_degrees", "grayscale_prob", "jitter", "blur_prob"):
        del values["views"][name]
    assert Recipe.from_dict(values) == recipe
    assert recipe.loss == LossRecipe(loss="nt-xent", normalize=True, semi_hard=False, loss_factor=1.0)


@pytest.mark.parametrize("name", NAMES)
def test_docstrings_hold_command_hardware_time_and_result(name: str) -> None:
    text = describe_recipes()[name]
    assert "twofold pretrain" in text or "make demo" in text
    for word in ("Command:", "Hardware:", "Time:", "Result:"):
        assert word in text


def test_a_recipe_is_loaded_from_a_run_or_a_bare_file(tmp_path: Path) -> None:
    recipe = Recipe().with_settings(batch_size=32)
    (tmp_path / "bare.json").write_text(json.dumps(recipe.to_dict()))
    (tmp_path / "recipe.json").write_text(json.dumps({"recipe": recipe.to_dict(), "steps": 7}))
    assert load_recipe(tmp_path / "bare.json") == load_recipe(tmp_path / "recipe.json") == recipe


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"name": "x"}', '"text"'])
def test_a_file_that_is_no_recipe_is_one_clear_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(TwofoldError, match=r"bad\.json"):
        load_recipe(path)


def test_an_unknown_part_of_a_recipe_is_named() -> None:
    values = Recipe().to_dict()
    values["loss"]["tempreature"] = 1.0
    with pytest.raises(TwofoldError, match="tempreature"):
        Recipe.from_dict(values)


def test_every_setting_has_one_name() -> None:
    leaves = [f.name for stage in dataclasses.fields(Recipe) if stage.name != "name" for f in _fields(stage.name)]
    assert len(leaves) == len(set(leaves)) == len(setting_owners())


def _fields(stage: str) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(getattr(Recipe(), stage))


def test_settings_change_by_name_and_epochs_replace_minutes() -> None:
    recipe = Recipe(schedule=ScheduleRecipe(minutes=5.0))
    changed = recipe.with_settings(epochs=3.0, temperature=0.5)
    assert changed.schedule.epochs == 3.0
    assert changed.schedule.minutes is None
    assert changed.loss.temperature == 0.5
    assert recipe.schedule.minutes == 5.0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tempreature": 1.0}, ["tempreature", "did you mean 'temperature'"]),
        ({"temperature": 0.0}, ["temperature", "0.0", "--temperature"]),
        ({"batch_size": 1}, ["batch_size", "1", "negatives"]),
        ({"epochs": 3.0, "minutes": 2.0}, ["epochs is 3.0 and minutes is 2.0"]),
        ({"epochs": -1.0}, ["epochs", "-1.0"]),
        ({"minutes": float("nan")}, ["minutes", "nan"]),
        ({"epochs": 1e308}, ["epochs", "1e+308", "at most 1e9", "--epochs"]),
        ({"monitor_share": 1e-320}, ["monitor_share", "[1e-9, 1]", "--monitor-share"]),
        ({"encoder": "resnet81"}, ["resnet81", "did you mean 'resnet18'"]),
        ({"stem": "smal"}, ["smal", "did you mean 'small'"]),
        ({"width": 9.0}, ["width", "9.0"]),
        ({"crop_area": (0.5, 0.2)}, ["crop_area"]),
        ({"vertical_flip_prob": 1.5}, ["vertical_flip_prob", "1.5", "probability", "--vertical-flip-prob"]),
        ({"rotate_degrees": 200.0}, ["rotate_degrees", "200.0", "[0, 180]", "--rotate-degrees"]),
        ({"jitter": (0.4, 0.4, 0.4, 0.6)}, ["jitter", "0.6", "at most 0.5", "--jitter"]),
        ({"blur_prob": -0.1}, ["blur_prob", "-0.1"]),
        ({"channels": 33}, ["channels", "33", "1 to 32"]),
        ({"optimizer": "lasr"}, ["did you mean 'lars'"]),
        ({"device": "gpu"}, ["device", "'gpu'"]),
        ({"head_layers": 1}, ["head_layers", "--head linear"]),
        ({"loss": "nt-xnet"}, ["did you mean 'nt-xent'"]),
        ({"margin": -0.1}, ["margin", "-0.1", "--margin"]),
        ({"semi_hard": True}, ["semi_hard", "'nt-xent'", "--loss nt-logistic or triplet"]),
        ({"loss": "dcl", "semi_hard": True}, ["semi_hard", "'dcl'"]),
        ({"loss": "triplet", "semi_hard": True, "margin": 0.0}, ["margin", "above 0"]),
    ],
)
def test_a_bad_value_names_itself_the_rule_and_the_fix(settings: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(TwofoldError) as caught:
        Recipe().with_settings(**settings)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", OPS)
def test_an_op_refuses_a_range_of_the_wrong_length(name: str) -> None:
    with pytest.raises(TwofoldError, match="range"):
        Op(name=name, range=(0.1,) * (OPS[name] + 1))


def test_an_op_refuses_a_branch_that_is_none() -> None:
    with pytest.raises(TwofoldError, match="unknown branch 'a'"):
        Op(name="flip", branch="a")


def test_photos_fits_what_it_finds() -> None:
    small, why = build_recipe("photos", lambda: Found(pictures=90, short_side_px=30, channels=1, gpu_gib=None))
    assert small.views.size_px == 32
    assert small.data.channels == 1
    assert small.schedule.batch_size * 4 <= 90
    assert len(why) == 5
    large, _ = build_recipe("photos", lambda: Found(pictures=10**6, short_side_px=900, channels=3, gpu_gib=80.0))
    assert large.views.size_px == 224
    assert large.encoder.encoder == "resnet50"


@pytest.mark.parametrize("short_side_px", [32, 48, 64, 96, 128, 224])
def test_photos_takes_no_larger_batch_than_the_gpu_holds(short_side_px: int) -> None:
    def batch_size(gib: float) -> int:
        found = Found(pictures=10**6, short_side_px=short_side_px, channels=3, gpu_gib=gib)
        return build_recipe("photos", lambda: found)[0].schedule.batch_size

    sizes = [batch_size(gib) for gib in (4.0, 8.0, 16.0, 24.0, 80.0)]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 512
    if short_side_px == 224:  # 60 MB a view, two views an image: 24 GiB hold 171
        assert sizes[-2] == 128


def test_an_unknown_recipe_is_named() -> None:
    with pytest.raises(TwofoldError, match="did you mean 'cifar10-laptop'"):
        build_recipe("cifar10-labtop", lambda: FOUND)


def _kind(stage: str, name: str) -> Any:
    return get_type_hints(get_type_hints(Recipe)[stage])[name]


FLOATS = [name for name, stage in setting_owners().items() if "float" in str(_kind(stage, name))]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("name", FLOATS)
def test_no_number_may_be_infinite_or_none_at_all(name: str, value: float) -> None:
    if name == "checkpoint_minutes" and value > 0:
        return  # saved at the end alone
    count = str(_kind(setting_owners()[name], name)).count("float")  # 1, or more in a tuple
    count = 2 if name == "range" else count
    context: dict[str, Any] = {"loss": "triplet"} if name == "margin" else {}
    context |= {"optimizer": "lars"} if name == "trust_coefficient" else {}
    with pytest.raises(TwofoldError, match=rf"^{name} is .*(inf|nan)"):
        Recipe().with_settings(**{name: (0.1,) * (count - 1) + (value,) if count > 1 else value, **context})
