"""Flags: what is given arrives, None among it; what is not given stays the recipe's; and the way back."""

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from twofold.cli import main as cli
from twofold.errors import TwofoldError
from twofold.programs.pretrain import pretrain
from twofold.recipes.augmentation import Op
from twofold.recipes.recipe import Recipe, optional_settings, setting_owners
from twofold.recipes.written_flags import SHORT, as_flags
from twofold.runs.run_directory import Run

VALUES: dict[str, Any] = {  # of every setting that can be None, one that is not
    "store_px": 64,
    "path_column": "photo",
    "label_column": "species",
    "split_column": "part",
    "group_column": "patient",
    "group_by": "(p[0-9]+)",
    "range": (0.0, 4095.0),
    "bands": (4, 3, 2),
    "tile": 256,
    "stride": 128,
    "micrometres_per_px": 0.5,
    "eval_size_px": 40,
    "init": "weights.pth",
    "freeze_until": "layer1",
    "ops": (Op(name="flip"),),
    "jitter": (0.4, 0.4, 0.4, 0.1),
    "blur_prob": 0.3,
    "resident": True,
    "held_out_fraction": 0.1,
    "epochs": 3.0,
    "minutes": 2.0,
    "chunk": 4,
    "memory": "2GiB",
}
OTHERS = {"epochs": "minutes", "minutes": "epochs"}  # one of them is always set

Parse = Callable[[str], Recipe]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Recipe]:
    """The recipes that pretraining was called with; nothing is trained."""
    recipes: list[Recipe] = []

    def remember(*_arguments: Any, recipe: Recipe, **_options: Any) -> Run:
        recipes.append(recipe)
        return Run(tmp_path / "run")

    monkeypatch.setattr("twofold.programs.pretrain.run_pretraining", remember)
    monkeypatch.setattr("twofold.programs.pretrain.gallery_and_report", lambda *_a, **_k: None)
    return recipes


@pytest.fixture
def parse(ran: list[Recipe], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Parse:
    """The recipe that `twofold pretrain` runs with some flags, beside the saved recipe."""

    def parsed(flags: str) -> Recipe:
        command = f"pretrain photos --out {tmp_path / 'run'} --recipe {tmp_path / 'saved.json'} {flags}"
        monkeypatch.setattr(sys, "argv", ["twofold", *shlex.split(command)])
        cli.main()
        return ran.pop()

    return parsed


def save(folder: Path, **settings: Any) -> Recipe:
    recipe = Recipe().with_settings(**settings)
    (folder / "saved.json").write_text(json.dumps(recipe.to_dict()))
    return recipe


def test_every_setting_that_can_be_none_is_known_here() -> None:
    assert set(VALUES) == set(optional_settings())


@pytest.mark.parametrize("name", optional_settings())
def test_none_on_the_command_line_switches_a_saved_setting_off(parse: Parse, tmp_path: Path, name: str) -> None:
    saved = save(tmp_path, **{name: VALUES[name]})
    other = f"--{OTHERS[name]} 7" if name in OTHERS else ""
    assert parse("") == saved
    found = parse(f"--{name.replace('_', '-')} None {other}").settings()
    assert found[name] is None
    expected = saved.settings() | {name: None} | ({OTHERS[name]: 7.0} if name in OTHERS else {})
    assert found == expected


@pytest.mark.parametrize("name", optional_settings())
def test_none_from_python_switches_a_saved_setting_off(name: str) -> None:
    other = {OTHERS[name]: 7.0} if name in OTHERS else {}
    assert Recipe().with_settings(**{name: VALUES[name]}).settings()[name] == VALUES[name]
    changed = Recipe().with_settings(**{name: VALUES[name]}).with_settings(**{name: None}, **other)
    assert changed.settings()[name] is None


@pytest.mark.parametrize("name", sorted(set(setting_owners()) - set(optional_settings())))
def test_none_is_refused_where_a_value_is_needed(parse: Parse, tmp_path: Path, name: str) -> None:
    with pytest.raises(TwofoldError, match=rf"{name} is None, but it must be a value"):
        Recipe().with_settings(**{name: None})
    recipe = save(tmp_path)
    if isinstance(recipe.settings()[name], str):  # the name of something, so that the recipe refuses the word
        return
    with pytest.raises(SystemExit) as stop:
        parse(f"--{name.replace('_', '-')} None")
    assert f"--{name.replace('_', '-')}" in str(stop.value)


def test_neither_epochs_nor_minutes_is_refused(parse: Parse, tmp_path: Path) -> None:
    save(tmp_path, minutes=2.0)
    with pytest.raises(SystemExit, match="exactly one of them says how long"):
        parse("--minutes None")


def test_what_was_given_can_be_typed_again(parse: Parse, tmp_path: Path) -> None:
    settings = {"chunk": None, "memory": None, "crop_area": (0.3, 1.0), "minutes": 0.5, "normalize": False}
    settings |= {"loss": "dcl", "eval_size_px": 24}
    saved = save(tmp_path, chunk=8)
    assert parse(" ".join(as_flags(settings))) == saved.with_settings(**settings)


def test_a_named_policy_replaces_a_list_of_ops() -> None:
    listed = Recipe().with_settings(ops=VALUES["ops"])
    assert listed.with_settings(size_px=32).views.ops == VALUES["ops"]
    assert listed.with_settings(policy="small").views.ops is None
    assert listed.with_settings(policy="small", ops=VALUES["ops"]).views.ops == VALUES["ops"]


def test_pretrain_from_python_takes_none(ran: list[Recipe], tmp_path: Path) -> None:
    save(tmp_path, chunk=8)
    pretrain("photos", out=tmp_path / "run", recipe=tmp_path / "saved.json", chunk=None)
    assert ran[0].schedule.chunk is None


@pytest.mark.parametrize(
    ("flags", "settings"),
    [
        ("--vertical-flip", {"vertical_flip_prob": 0.5}),
        ("--vertical-flip 0.25", {"vertical_flip_prob": 0.25}),
        ("--chunk 4 --blur 1", {"blur_prob": 1.0, "chunk": 4}),
        ("--vertical-flip-prob 0.25", {"vertical_flip_prob": 0.25}),
        ("--no-grayscale", {"grayscale_prob": 0.0}),
        ("--blur --chunk 4", {"blur_prob": 0.5, "chunk": 4}),
        ("--no-blur", {"blur_prob": 0.0}),
        ("--rotate-degrees 180", {"rotate_degrees": 180.0}),
        ("--jitter 0.4 0.4 0.4 0.1", {"jitter": (0.4, 0.4, 0.4, 0.1)}),
        ("--ops crop flip@0.5 --chunk 4", {"ops": ("crop", "flip@0.5"), "chunk": 4}),
    ],
)
def test_common_wishes_are_flags(parse: Parse, tmp_path: Path, flags: str, settings: dict[str, Any]) -> None:
    saved = save(tmp_path)
    assert parse(flags) == saved.with_settings(**settings)
    assert parse(" ".join(as_flags(settings))) == Recipe().with_settings(**settings), "and back"


def test_what_stands_for_a_flag_names_one() -> None:
    names = {f"--{name.replace('_', '-')}" for name in setting_owners()}
    assert {flag for flag, _ in SHORT.values()} <= names
    assert not SHORT.keys() & names
