"""Encoders and optimizers handed over from Python: a whole run, a continued one, what comes out of it."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

import twofold
from own_encoders import ENCODERS, RECIPE, TinyViT, sgd
from pictures import picture, write_pictures
from twofold.errors import TwofoldError

DRIVER = Path(__file__).parents[1] / "own_driver.py"
NAMES = [
    pytest.param(name, marks=pytest.mark.skipif(name == "timm" and not find_spec("timm"), reason="timm is not there"))
    for name in ENCODERS
]
PRESENT = [name for name in ENCODERS if name != "timm" or find_spec("timm")]
IMAGES = np.stack([picture("discs", seed) for seed in range(3)])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/, cache/ and, of each encoder, NAME-calm and NAME-killed; killed.txt names those that were."""
    home = tmp_path_factory.mktemp("objects")
    data = write_pictures(home / "data", per_class=8, splits=("train", "test"))
    arguments = [str(data), str(home / "cache"), str(home), *PRESENT]
    done = subprocess.run([sys.executable, str(DRIVER), *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (home / "killed.txt").write_text(done.stdout)
    return home


def weights(run: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run / "encoder.safetensors")


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_was_killed_ends_as_the_undisturbed_one(home: Path, name: str) -> None:
    assert name in (home / "killed.txt").read_text().split()
    calm, killed = weights(home / f"{name}-calm"), weights(home / f"{name}-killed")
    assert calm.keys() == killed.keys()
    assert all(torch.equal(calm[key], killed[key]) for key in calm)
    with torch.random.fork_rng():
        fresh = ENCODERS[name]().state_dict()
    assert any(not torch.equal(calm[f"module.{key}"], fresh[key]) for key in fresh), "it was trained"


@pytest.mark.parametrize("name", NAMES)
def test_it_is_loaded_evaluated_and_embeds_with_its_class(home: Path, name: str) -> None:
    run, build = home / f"{name}-calm", ENCODERS[name]
    loaded = twofold.load(run, device="cpu", encoder=build)
    assert loaded.embed(IMAGES).shape == (3, loaded.dim)
    assert loaded.features(IMAGES, layer=loaded.layers[0]).shape[0] == 3
    table = twofold.embed(
        run, home / "data", out=home / f"{name}.parquet", cache=home / "cache", encoder=build, verbose=False
    )
    assert table.exists()
    few = {"seeds": 1, "cache": home / "cache", "encoder": build, "device": "cpu", "verbose": False}
    found = twofold.evaluate(run, data=home / "data", protocol="knn", shots=1, few_seeds=1, **few)
    assert {row.encoder for row in found.rows} == {"trained", "untrained", "pixels"}
    assert (run / "report.html").exists()


def test_two_processes_train_the_module_of_the_first_as_one_does(home: Path) -> None:
    one, two, fault = (weights(home / name) for name in ("1", "2", "2-fault"))
    apart = {
        name: max(float((w[key] - one[key]).abs().max()) for key in one if one[key].is_floating_point())
        for name, w in (("two", two), ("fault", fault))
    }
    assert apart["two"] < 1e-4 < 1e-2 < apart["fault"]


def test_a_module_that_returns_no_vectors_is_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(TwofoldError, match="Flatten returned a tensor of shape"):
        twofold.pretrain(
            home / "data", out=tmp_path / "run", recipe=RECIPE, encoder=nn.Flatten(0), cache=home / "cache"
        )


def test_it_is_measured_on_other_data(home: Path) -> None:
    found = twofold.transfer(
        home / "hand-written-calm",
        to=home / "data",
        protocol="knn",
        seeds=1,
        encoder=TinyViT,
        cache=home / "cache",
        verbose=False,
    )
    assert list(found) == [str(home / "data")]


def test_the_run_records_both_by_name(home: Path) -> None:
    recipe = json.loads((home / "hand-written-calm" / "recipe.json").read_text())["recipe"]
    assert recipe["encoder"]["encoder"] == "own:own_encoders.TinyViT"
    assert recipe["optim"]["optimizer"] == "own:torch.optim.sgd.SGD"
    assert (recipe["optim"]["base_lr"], recipe["optim"]["weight_decay"]) == (0.05, 1e-4)
    rates = [
        json.loads(line)["lr"]
        for line in (home / "hand-written-calm" / "metrics.jsonl").read_text().splitlines()
        if "lr" in line
    ]
    assert 0.04 < max(rates) <= 0.05, "the schedule begins at the optimizer's own rate"


@pytest.mark.parametrize(("encoder", "said"), [(TinyViT, False), (TinyViT(), True)])
def test_an_untrained_encoder_that_is_always_the_same_is_said(
    home: Path, capsys: pytest.CaptureFixture[str], encoder: object, said: bool
) -> None:
    run, few = home / "hand-written-calm", {"shots": (), "seeds": 2, "few_seeds": 1, "cache": home / "cache"}
    found = twofold.evaluate(run, data=home / "data", protocol="knn", encoder=encoder, **few)
    assert ("the untrained encoder is the module that was given" in " ".join(capsys.readouterr().out.split())) is said
    assert ("same for every seed" in " ".join(found.details["stated"])) is said


def test_without_the_class_it_says_what_to_give(home: Path) -> None:
    run = home / "hand-written-calm"
    words = r"own:own_encoders\.TinyViT.*encoder=TinyViT"
    with pytest.raises(TwofoldError, match=words):
        twofold.load(run)
    with pytest.raises(TwofoldError, match=words):
        twofold.evaluate(run, data=home / "data", cache=home / "cache")


class Other(TinyViT):
    pass


def begin_again(home: Path, **changed: object) -> None:
    same = {
        "recipe": RECIPE,
        "encoder": TinyViT,
        "optimizer": sgd,
        "epochs": 2.0,
        "chunk": 4,
        "checkpoint_minutes": 0.0,
        "verbose": False,
    }
    twofold.pretrain(home / "data", out=home / "hand-written-calm", cache=home / "cache", **{**same, **changed})


def test_the_same_call_leaves_a_finished_run_alone(home: Path) -> None:
    before = weights(home / "hand-written-calm")
    begin_again(home)
    assert all(torch.equal(value, before[name]) for name, value in weights(home / "hand-written-calm").items())


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"encoder": Other}, r"encoder is 'own:.*Other', but .* begun with 'own:own_encoders\.TinyViT'"),
        ({"encoder": "resnet10"}, r"encoder is 'resnet10', but .* begun with 'own:own_encoders\.TinyViT'"),
        ({"optimizer": torch.optim.Adam}, r"optimizer is 'own:torch.optim.adam.Adam', but .* begun with 'own:torch"),
        ({"optimizer": lambda groups: torch.optim.SGD(groups, lr=0.1)}, r"base_lr is 0\.1, but .* begun with 0\.05"),
        ({"encoder": TinyViT(32)}, r"weights do not fit.*have another shape"),
        ({"width": 0.5}, r"width is 0\.5, but the encoder that is given decides that"),
        ({"base_lr": 0.5}, r"base_lr is 0\.5, but the optimizer that is given decides that"),
    ],
)
def test_another_encoder_or_optimizer_is_refused(home: Path, changed: dict[str, object], words: str) -> None:
    with pytest.raises(TwofoldError, match=words) as caught:
        begin_again(home, **changed)
    assert "\n" not in str(caught.value)


def test_training_begins_at_the_weights_of_a_module_and_leaves_it_as_it_is(home: Path, tmp_path: Path) -> None:
    module = TinyViT()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    tiny_rate = {"base_lr": 1e-12, "optimizer": "sgd", "lr_scaling": "none"}
    options = {"recipe": RECIPE, "encoder": module, "epochs": 0.5, "cache": home / "cache", "verbose": False}
    run = twofold.pretrain(home / "data", out=tmp_path / "run", **options, **tiny_rate)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    for name, value in weights(run.folder).items():
        torch.testing.assert_close(value, before[name.removeprefix("module.")], rtol=1e-4, atol=1e-6)
