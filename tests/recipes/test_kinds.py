"""Values from Python are checked like flags: every setting of the recipe, and every argument of the programs."""

import dataclasses
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_type_hints

import numpy as np
import pytest
import torch

import twofold
from pictures import write_pictures
from small_recipe import SMALL
from twofold.errors import TwofoldError
from twofold.programs import embedded, study
from twofold.programs.bench import bench
from twofold.programs.clean import clean
from twofold.programs.doctor import doctor
from twofold.programs.embed import embed
from twofold.programs.evaluate import evaluate
from twofold.programs.explore import explore
from twofold.programs.export import export
from twofold.programs.launch import launch
from twofold.programs.opening import Opening
from twofold.programs.pick import pick
from twofold.programs.predict import predict
from twofold.programs.pretrain import pretrain
from twofold.programs.report import write_report
from twofold.programs.search import search
from twofold.programs.transfer import transfer
from twofold.recipes.data import Reading
from twofold.recipes.kinds import as_data, as_kind, as_path, as_several
from twofold.recipes.recipe import HardwareRecipe, Op, Recipe, ScheduleRecipe, setting_owners
from twofold.runs.encoder_file import Loaded, load_head
from twofold.runs.run_directory import Run

NO_NUMBER = ["32", b"32", "", [32], (32,), {"a": 1}, object(), True, np.bool_(True), 1j, np.array([1, 2]), int, ...]
NO_WHOLE_NUMBER = [*NO_NUMBER, 2.0, 2.5, np.float64(2), float("nan"), torch.tensor(2)]
NO_TEXT = [3, 3.0, True, b"small", ["small"], Path("small"), object(), {"small"}, np.int64(3)]
NO_HARDWARE = ["cpu", torch.device("cpu"), 3, {"device": "cpu"}, HardwareRecipe]
NO_BOOL = [0, 1, 1.0, "True", "", [True], np.int64(1), object()]
NO_PAIR = [
    0.5,
    "01",
    "0.2 1",
    (0.2,),
    (0.2, 0.5, 1.0),
    [0.2, "1"],
    {0.2: 1.0},
    {0.2, 1.0},
    np.ones((2, 2)),
    (0.2, True),
]
NO_FOUR = [*NO_PAIR, (0.4, 0.4, 0.4), (0.4, 0.4, 0.4, "0.1")]
NO_OPS = ["crop", [("crop", 1.0)], [{"name": "crop"}], Op(name="flip"), 3, [3], {"flip": 1.0}]
NO_OBJECT = [3, True, {"a": 1}, ["resnet18"], b"lars"]
WRONG = {
    int: NO_WHOLE_NUMBER,
    int | None: NO_WHOLE_NUMBER,
    int | Literal["auto"] | None: NO_WHOLE_NUMBER,
    float: NO_NUMBER,
    float | None: NO_NUMBER,
    str: NO_TEXT,
    str | None: NO_TEXT,
    bool: NO_BOOL,
    bool | None: [one for one in NO_BOOL if one is not None],
    tuple[float, float]: NO_PAIR,
    tuple[float, float, float, float] | None: NO_FOUR,
    tuple[float, ...] | None: ["0 1", 4095.0, ("0", "1"), {0.0, 1.0}],
    tuple[int, ...] | None: ["0 1", 4, ("0", "1"), {4, 3}, (4.5, 3)],
    tuple[Op, ...] | None: NO_OPS,
}
WORDS = {int: "a whole number", float: "a number", str: "text", bool: "True or False"}
STAGES = get_type_hints(Recipe)
KINDS = {name: get_type_hints(STAGES[stage])[name] for name, stage in setting_owners().items()}


@pytest.fixture(autouse=True)
def bare_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As outside of the tests, whose own checks of types would come first."""
    for owner in (*STAGES.values(), Recipe, Op):
        if dataclasses.is_dataclass(owner):
            monkeypatch.setattr(owner, "__init__", inspect.unwrap(owner.__init__))


@pytest.mark.parametrize("name", KINDS)
def test_a_setting_of_another_type_is_one_clear_sentence(name: str) -> None:
    kind = KINDS[name]
    for wrong in WRONG[kind]:
        with pytest.raises(TwofoldError) as caught:
            Recipe().with_settings(**{name: wrong})
        text = str(caught.value)
        assert text.startswith(f"{name} is ")
        assert f"of the type {type(wrong).__name__}, but it must be {WORDS.get(kind, '')}" in text
        assert text.endswith(f"Change {name}.")
        assert "\n" not in text
        assert len(text) < 300


@pytest.mark.parametrize("name", KINDS)
def test_the_parts_of_a_recipe_check_themselves(name: str) -> None:
    stage = STAGES[setting_owners()[name]]
    others = {"epochs": 1.0} if stage is ScheduleRecipe and name != "epochs" else {}
    with pytest.raises(TwofoldError, match=f"^{name} is "):
        stage(**{name: object()}, **others)


def test_the_lists_above_cover_every_type_that_settings_have() -> None:
    assert {*KINDS.values()} <= {*WRONG}
    assert all(WRONG.values())


def variants(value: Any) -> list[Any]:
    """The same value as other programs have it."""
    if isinstance(value, bool):
        return [np.bool_(value)]
    if isinstance(value, int):
        return [np.int64(value), np.int16(value) if value < 2**15 else np.uint64(value), np.array(value)]
    if isinstance(value, float):
        return [np.float64(value), np.array(value), *([int(value), np.int8(value)] if value == int(value) else [])]
    if isinstance(value, str):
        return [np.str_(value)]
    if isinstance(value, tuple):
        return [list(value), *([np.array(value)] if isinstance(value[0], float) else [])]
    return [None]


EXAMPLES: dict[str, Any] = {
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
    "ops": (Op(name="flip"), Op(name="crop", range=(0.5, 1.0))),
    "jitter": (0.4, 0.4, 0.4, 0.1),
    "blur_prob": 0.5,
    "resident": True,
    "held_out_fraction": 0.1,
    "eval_size_px": 32,
    "minutes": 2.0,
    "chunk": 4,
    "memory": "4GiB",
    "epochs": 3.0,
    "init": "other.safetensors",
    "freeze_until": "layer2",
}


@pytest.mark.parametrize("name", KINDS)
def test_numbers_of_numpy_and_lists_become_plain_values(name: str) -> None:
    value = EXAMPLES.get(name, Recipe().settings()[name])
    assert value is not None
    wanted = Recipe().with_settings(**{name: value})
    for variant in variants(value):
        recipe = Recipe().with_settings(**{name: variant})
        found = recipe.settings()[name]
        assert found == value
        assert type(found) is type(value)
        assert json.dumps(recipe.to_dict()) == json.dumps(wanted.to_dict())


def test_a_recipe_of_other_parts_is_refused() -> None:
    for wrong in ("simclr", None, SMALL.data, {}):
        with pytest.raises(TwofoldError, match=r"^views is .* an object of the type ViewsRecipe"):
            Recipe(views=wrong)  # type: ignore[arg-type]
    for wrong in ({"name": 3}, {"name": "flip", "prob": "1"}, {"name": "crop", "range": (0.5, "1")}):
        with pytest.raises(TwofoldError, match="of the type"):
            Op(**wrong)  # type: ignore[arg-type]


def test_a_saved_recipe_of_other_types_is_refused(tmp_path: Path) -> None:
    values = SMALL.to_dict()
    values["schedule"]["batch_size"] = "16"
    (tmp_path / "recipe.json").write_text(json.dumps(values))
    with pytest.raises(TwofoldError, match=r"batch_size is '16' of the type str, but it must be a whole number"):
        pretrain(tmp_path, out=tmp_path / "run", recipe=tmp_path / "recipe.json")


NO_PATH = [3, None, 1.0, b"run", ["run"], object()]
NO_CACHE = [one for one in NO_PATH if one is not None]
NO_OPTIONAL = [one for one in NO_NUMBER if one is not None]
FEW = [["a"], "a", [2.5], [True], [None], {1: 2}]
ARGUMENTS: dict[Callable[..., Any], tuple[dict[str, Any], dict[str, list[Any]]]] = {
    pretrain: (
        {"data": "x", "out": "y"},
        {
            "data": NO_PATH,
            "out": NO_PATH,
            "recipe": NO_PATH,
            "checkpoint_through": NO_CACHE,
            "cache": NO_CACHE,
            "allow_outside": NO_BOOL,
            "profile": NO_WHOLE_NUMBER,
        },
    ),
    bench: (
        {"data": "x", "out": "y.json"},
        {
            "data": NO_PATH,
            "out": NO_PATH,
            "recipe": NO_PATH,
            "cache": NO_CACHE,
            "allow_outside": NO_BOOL,
            "seconds": NO_NUMBER,
        },
    ),
    evaluate: (
        {"run": "x", "data": "y"},
        {
            "run": NO_PATH,
            "data": NO_PATH,
            "protocol": [3, [3], {"knn": 1}, None, b"knn"],
            "label_fraction": [["a"], "a", [True], [None], None],
            "shots": FEW,
            "seeds": NO_WHOLE_NUMBER,
            "few_seeds": NO_WHOLE_NUMBER,
            "finetune_from": NO_TEXT,
            "beside": [3, None, [None], [b"x"]],
            "beside_px": NO_WHOLE_NUMBER,
            "finetune_schedule": NO_TEXT,
            "finetune_epochs": NO_OPTIONAL,
            "self_train_steps": NO_WHOLE_NUMBER,
            "cache": NO_CACHE,
            "allow_outside": NO_BOOL,
        },
    ),
    transfer: (
        {"run": "x", "to": "y"},
        {
            "run": NO_PATH,
            "to": [3, [3], None, [None], [b"x"]],
            "protocol": [3, [3], None],
            "seeds": NO_WHOLE_NUMBER,
            "beside": [3, None, [None], [b"x"]],
            "beside_px": NO_WHOLE_NUMBER,
            "finetune_schedule": NO_TEXT,
            "finetune_epochs": NO_OPTIONAL,
            "cache": NO_CACHE,
            "allow_outside": NO_BOOL,
        },
    ),
    embed: (
        {"run": "x", "data": "y", "out": "z.parquet"},
        {
            "run": NO_PATH,
            "data": NO_PATH,
            "out": NO_PATH,
            "shard": [one for one in NO_TEXT if one is not None],
            "float16": NO_BOOL,
        },
    ),
    clean: (
        {"run": "x", "data": "y", "out": "z"},
        {
            "run": [one for one in NO_PATH if one is not None],
            "data": NO_PATH,
            "out": NO_CACHE,
            "embeddings": NO_CACHE,
            "threshold": NO_NUMBER,
            "cosine": NO_NUMBER,
        },
    ),
    pick: (
        {"run": "x", "data": "y"},
        {
            "run": NO_PATH,
            "data": NO_PATH,
            "count": NO_WHOLE_NUMBER,
            "labels": NO_CACHE,
            "method": NO_TEXT,
            "simulate": NO_BOOL,
            "out": NO_CACHE,
            "embeddings": NO_CACHE,
            "seed": NO_WHOLE_NUMBER,
        },
    ),
    search: (
        {"run": "x", "data": "y", "query": __file__},
        {
            "run": NO_PATH,
            "data": NO_PATH,
            "query": NO_PATH,
            "top": NO_WHOLE_NUMBER,
            "index": NO_CACHE,
            "exact": NO_BOOL,
            "out": NO_CACHE,
            "embeddings": NO_CACHE,
        },
    ),
    predict: (
        {"run": "x", "data": "y", "labels": "z.csv"},
        {
            "run": NO_PATH,
            "data": NO_PATH,
            "labels": NO_CACHE,
            "classifier": NO_CACHE,
            "abstain": NO_NUMBER,
            "novelty": NO_NUMBER,
            "self_train": NO_BOOL,
            "self_train_steps": NO_WHOLE_NUMBER,
            "out": NO_CACHE,
        },
    ),
    explore: (
        {"run": "x", "data": "y"},
        {"run": NO_PATH, "data": NO_PATH, "columns": [3, [3], [None]], "out": NO_CACHE, "embeddings": NO_CACHE},
    ),
    doctor: (
        {"data": "y"},
        {"data": NO_PATH, "recipe": NO_PATH, "cache": NO_CACHE, "allow_outside": NO_BOOL},
    ),
    export: (
        {"run": "x", "to": "onnx"},
        {
            "run": NO_PATH,
            "to": NO_TEXT,
            "data": NO_CACHE,
            "labels": NO_CACHE,
            "classifier": NO_CACHE,
            "out": NO_CACHE,
            "encoder": NO_OBJECT,
            "cache": NO_CACHE,
            "allow_outside": NO_BOOL,
            "max_unreadable_fraction": NO_OPTIONAL,
        },
    ),
    write_report: ({"run": "x"}, {"run": NO_PATH}),
    launch: (
        {"data": "/x", "engine": "slurm", "out": "/y/z", "recipe": "cifar10-laptop"},
        {
            "data": NO_PATH,
            "engine": NO_TEXT,
            "out": NO_PATH,
            "recipe": NO_PATH,
            "gpus": NO_WHOLE_NUMBER,
            "nodes": NO_WHOLE_NUMBER,
            "gpu": NO_TEXT,
            "image": NO_TEXT,
            "images": NO_WHOLE_NUMBER,
            "images_per_s": NO_OPTIONAL,
            "checkpoint_through": NO_CACHE,
        },
    ),
    study.study: (
        {"name": "loss"},
        {
            "name": NO_TEXT,
            "data": NO_CACHE,
            "scale": NO_TEXT,
            "seeds": NO_WHOLE_NUMBER,
            "minutes": NO_OPTIONAL,
            "out": NO_CACHE,
            "encoders": NO_CACHE,
            "plan": NO_BOOL,
            "cache": NO_CACHE,
            "allow_outside": NO_BOOL,
        },
    ),
    twofold.load: (
        {"path": "x"},
        {"path": NO_PATH, "device": NO_TEXT, "precision": NO_TEXT, "hardware": NO_HARDWARE},
    ),
    load_head: ({"path": "x"}, {"path": NO_PATH, "hardware": NO_HARDWARE}),
    Loaded.embed_iter: ({"self": None, "images": []}, {"batch_size": NO_WHOLE_NUMBER}),
}
PUT_TO_USE = (embed, clean, pick, search, predict, explore)
PROGRAMS = (pretrain, launch, bench, doctor, evaluate, transfer, study.study, export, write_report, *PUT_TO_USE)
for program in (one for one in PROGRAMS if one is not launch):
    ARGUMENTS[program][1]["verbose"] = NO_BOOL
ARGUMENTS[pretrain][1].update(encoder=NO_OBJECT, optimizer=NO_OBJECT)
for measuring in (evaluate, transfer, *PUT_TO_USE):
    chosen = {"device": NO_TEXT, "precision": NO_TEXT, "max_unreadable_fraction": NO_OPTIONAL, "encoder": NO_OBJECT}
    ARGUMENTS[measuring][1].update(chosen)
for using in PUT_TO_USE:
    ARGUMENTS[using][1].update(cache=NO_CACHE, allow_outside=NO_BOOL)
CASES = [(program, name) for program, (_, wrong) in ARGUMENTS.items() for name in wrong]
SAID = {"path": "run"}  # by another name


@pytest.fixture
def bare_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    """As outside of the tests, here too."""
    for name in ("open_embedded", "open_encoder"):
        bare = inspect.unwrap(getattr(embedded, name))
        monkeypatch.setattr(embedded, name, bare)
        for program in PUT_TO_USE:
            if name in inspect.unwrap(program).__globals__:
                monkeypatch.setitem(inspect.unwrap(program).__globals__, name, bare)


@pytest.mark.usefixtures("bare_opening")
@pytest.mark.parametrize(("program", "name"), CASES, ids=[f"{p.__qualname__}-{name}" for p, name in CASES])
def test_an_argument_of_another_type_is_one_clear_sentence(program: Callable[..., Any], name: str) -> None:
    """It comes first, before anything is looked for: there is no run 'x'."""
    given, wrong = ARGUMENTS[program]
    bare = inspect.unwrap(program)  # without the tests' own checks of types
    for value in wrong[name]:
        with pytest.raises(TwofoldError, match=rf"^{SAID.get(name, name)} is .* of the type .*Change") as caught:
            bare(**{**given, name: value})
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_argument_of_the_programs_is_in_that_table(program: Callable[..., Any]) -> None:
    names = [n for n, one in inspect.signature(program).parameters.items() if one.kind is not one.VAR_KEYWORD]
    shared = (
        get_type_hints(Opening).keys() - get_type_hints(Reading)
        if program in (evaluate, transfer, *PUT_TO_USE)
        else set()
    )
    assert {*names} | shared == {*ARGUMENTS[program][1]}


@pytest.mark.parametrize("settings", [{"batch_size": "32"}, {"device": 3}, {"crop_area": 0.2}, {"compile": 1}])
def test_settings_of_the_programs_are_those_of_the_recipe(settings: dict[str, Any], tmp_path: Path) -> None:
    (name,) = settings
    for recipe in (SMALL, "cifar10-laptop"):
        with pytest.raises(TwofoldError, match=f"^{name} is .* of the type"):
            pretrain(tmp_path, out=tmp_path / "run", recipe=recipe, **settings)
    with pytest.raises(TwofoldError, match=f"^{name} is .* of the type"):
        bench(tmp_path, out=tmp_path / "b.json", recipe="cifar10-laptop", **settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("device", [3, torch.device("cpu"), b"cpu"])
def test_a_device_of_another_type_is_said_where_the_recipe_looks_at_it(device: Any, tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", per_class=2)
    with pytest.raises(TwofoldError, match=r"^device is .* of the type .* must be text"):
        pretrain(data, out=tmp_path / "run", recipe="photos", device=device, cache=tmp_path)
    with pytest.raises(TwofoldError, match=r"^device is .* of the type .* must be text"):
        bench(data, out=tmp_path / "b.json", recipe="photos", device=device, cache=tmp_path)


def test_one_value_counts_as_a_sequence_of_one() -> None:
    assert as_several("protocol", "knn", str) == ("knn",)
    assert as_several("protocol", ["knn", np.str_("linear")], str) == ("knn", "linear")
    assert as_several("shots", 5, int) == as_several("shots", np.int64(5), int) == as_several("shots", np.array(5), int)
    assert as_several("shots", range(3), int) == as_several("shots", np.arange(3), int) == (0, 1, 2)
    assert as_several("label_fraction", 1, float) == (1.0,)
    assert as_several("label_fraction", (x / 10 for x in (1, 2)), float) == (0.1, 0.2)
    assert as_several("shots", (), int) == ()


def test_paths_know_the_home_folder_and_names_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert as_path("cache", "~/x") == as_path("cache", Path("~/x")) == tmp_path / "x"
    assert as_path("out", Run(tmp_path / "run")) == tmp_path / "run"
    assert as_data("~/photos/") == str(tmp_path / "photos")
    assert as_data("photos/") == "photos/"
    assert as_data(Path("photos")) == "photos"
    assert as_kind("cache", np.str_("x"), str | None) == "x"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kinds")


@pytest.fixture(scope="module")
def run(home: Path) -> Run:
    data = write_pictures(home / "data", per_class=8, splits=("train", "test"))
    return twofold.pretrain(data, out=str(home / "run"), recipe=SMALL, cache=str(home / "cache"), batch_size=8)


def test_a_run_is_taken_wherever_its_path_is(run: Run, home: Path) -> None:
    data, cache = home / "data", str(home / "cache")
    assert str(run) == f"Run('{home / 'run'}')"
    assert twofold.load(run).step == twofold.load(home / "run").step
    assert Run(run).folder == run.folder
    assert load_head(run)
    assert write_report(run) == home / "run" / "report.html"
    assert twofold.embed(run, data, out=home / "h.parquet", cache=cache).is_file()
    found = twofold.evaluate(
        run, data=data, protocol="knn", shots=2, label_fraction=0.5, seeds=1, few_seeds=1, cache=cache
    )
    assert {row.labels for row in found.rows} == {"all", 2, 0.5}
    assert {row.protocol for row in found.rows} == {"knn"}
    assert (
        twofold.evaluate(
            home / "run",
            data=str(data),
            protocol=["knn"],
            shots=[2],
            label_fraction=[0.5],
            seeds=1,
            few_seeds=1,
            cache=cache,
        ).rows
        == found.rows
    )
    moved = twofold.transfer(run, to=data, protocol="knn", beside=[run], seeds=1, cache=cache)
    assert list(moved) == [str(data)]
    assert {row.encoder for row in moved[str(data)].rows} == {"trained", "untrained", "pixels", str(home / "run")}
    other = dataclasses.replace(SMALL, name="custom")
    assert twofold.pretrain(data, out=run, recipe=other, cache=cache, batch_size=8).folder == run.folder
