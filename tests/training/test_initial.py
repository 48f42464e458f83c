"""A run that begins from weights: which it takes, what it says, keeps and refuses, and what it trains."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn
from torchvision import models

from pictures import write_pictures
from small_recipe import SMALL
from twofold.distributed import World
from twofold.errors import TwofoldError
from twofold.hardware.device import resolve_hardware
from twofold.models import ResNet, build_encoder
from twofold.models.simclr import SimCLR
from twofold.recipes.recipe import Recipe
from twofold.runs.checkpoint import load_checkpoint
from twofold.runs.encoder_file import load
from twofold.runs.run_directory import Run
from twofold.runs.weights import OwnInit
from twofold.training.initial import Initial, initial_weights
from twofold.training.loop import pretrain
from twofold.training.step import TrainState, build_state

RECIPE = SMALL.with_settings(stages=2, z_dim=8, batch_size=8, epochs=1.0, optimizer="sgd", base_lr=3.0)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """images/, cache/, and run/, a finished run on them."""
    folder = tmp_path_factory.mktemp("home")
    write_pictures(folder / "images", per_class=8, splits=("train", "test"))
    pretrain(folder / "images", out=folder / "run", recipe=RECIPE, cache=folder / "cache")
    return folder


def train(home: Path, out: Path, **settings: Any) -> Run:
    return pretrain(home / "images", out=out, recipe=RECIPE.with_settings(**settings), cache=home / "cache")


def started(recipe: Recipe, initial: Initial | None) -> TrainState:
    return build_state(recipe, resolve_hardware(recipe.hardware), peak=0.1, world=World(), initial=initial)


def initial(recipe: Recipe = RECIPE, **settings: Any) -> Initial:
    found = initial_weights(Run("nowhere"), None, recipe.with_settings(**settings), World())
    assert found is not None
    return found


def require_equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []


def test_from_a_run_encoder_and_head_begin_as_they_ended(home: Path) -> None:
    found = initial(init=str(home / "run"))
    state = started(RECIPE, found)
    saved = load_checkpoint(home / "run" / "checkpoints")
    assert saved is not None
    require_equal(state.model.state_dict(), saved["model"])
    assert found.report["head"] is True
    assert found.report["fresh"] == found.report["left_out"] == []
    assert found.report["normalization"] == "none expected"


@pytest.mark.parametrize("form", ["export", "state dict", "module"])
def test_from_an_encoder_alone_the_head_is_fresh(home: Path, tmp_path: Path, form: str) -> None:
    encoder = load(home / "run").encoder
    file = tmp_path / "w.pth"
    torch.save(encoder.state_dict(), file)
    place = str(home / "run" / "encoder.safetensors") if form == "export" else str(file)
    recipe = RECIPE.with_settings(init=place, init_normalization="none")
    if form == "module":
        recipe = replace(recipe, init=OwnInit(**vars(recipe.init), weights=encoder))
    found = initial(recipe)
    state = started(RECIPE, found)
    require_equal(state.model.encoder.state_dict(), encoder.state_dict())
    require_equal(state.model.head.state_dict(), started(RECIPE, None).model.head.state_dict())
    assert found.report["head"] is False


def test_weights_that_expect_imagenet_s_normalisation_get_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = RECIPE.with_settings(encoder="resnet18", width=1.0, stages=4, stem="imagenet", size_px=64)
    torch.manual_seed(0)
    theirs = models.resnet18()
    for part in theirs.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, std=0.1)
    torch.save(theirs.state_dict(), tmp_path / "resnet18.pth")
    ours = started(recipe, initial(recipe, init=str(tmp_path / "resnet18.pth"))).model.encoder.eval()
    said = capsys.readouterr().out
    assert "100 of the encoder's 100 tensors loaded; projection head fresh" in said
    assert "folded into the first convolution (taken to be ImageNet's: the weights do not say)" in said
    theirs.fc = nn.Identity()
    views, black = torch.rand(2, 3, 64, 64), torch.zeros(2, 3, 64, 64)
    normalise = models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    mean, std = (torch.tensor(values)[:, None, None] for values in (normalise.mean, normalise.std))
    with torch.no_grad():
        for images in (views, black):  # inside; the border is padded with black, not with the mean
            expected = theirs.conv1((images - mean) / std)
            found = ours.bn1(ours.conv1(images))
            torch.testing.assert_close(found[..., 2:-2, 2:-2], theirs.eval().bn1(expected)[..., 2:-2, 2:-2])


def test_a_file_of_three_channels_into_one(tmp_path: Path) -> None:
    theirs = ResNet(10, width=0.25, stages=1, stem="strided")
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    one = initial(SMALL.with_settings(channels=1), init=str(tmp_path / "w.pth"), init_normalization="none")
    assert one.report["channels"] == (3, 1)
    weight = theirs.state_dict()["conv1.weight"]
    torch.testing.assert_close(one.encoder["conv1.weight"], weight.sum(dim=1, keepdim=True))


@pytest.mark.parametrize("strict", [True, False])
def test_a_wrong_file_is_refused_with_its_first_keys(tmp_path: Path, strict: bool) -> None:
    torch.save({name: torch.zeros(2) for name in ("a.weight", "b.weight", "c.bias", "d.bias")}, tmp_path / "w.pth")
    with pytest.raises(TwofoldError) as caught:
        initial(init=str(tmp_path / "w.pth"), init_strict=strict)
    said = str(caught.value)
    assert "its first keys: a.weight, b.weight, c.bias)" in said
    assert "first 'conv1.weight', 'bn1.weight', 'bn1.bias'; 4 are left over" in said
    assert "--init-strict" not in said, "of which nothing fits"


def test_of_another_network_the_flags_are_named_and_what_fits_can_be_taken(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(home / "run" / "encoder.safetensors")
    with pytest.raises(TwofoldError, match=r"--encoder resnet10 --width 0.25 --stages 2 --stem strided, or take what"):
        initial(SMALL, init=file)
    found = initial(SMALL, init=file, init_strict=False)
    assert found.report["fresh"] == []
    assert "layer2.0.conv1.weight" in found.report["left_out"]
    assert "left out, as the encoder has none: 15 (first layer2.0." in capsys.readouterr().out


@pytest.mark.parametrize("settings", [{"freeze_until": "layer1"}, {"init_rate": 0.1}])
def test_settings_without_weights_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(TwofoldError, match=r"but no weights are loaded\. Give --init"):
        initial_weights(Run("nowhere"), None, RECIPE.with_settings(**settings), World())


def frozen_names(run: Run) -> tuple[set[str], set[str]]:
    """Of the encoder's tensors those that the run left alone, and those that it changed."""
    before, after = (safetensors.torch.load_file(path) for path in (run.initial, run.encoder))
    same = {name for name in before if torch.equal(before[name], after[name])}
    return same, before.keys() - same


def test_frozen_layers_come_out_as_they_came_also_in_chunks(home: Path, tmp_path: Path) -> None:
    run = train(home, tmp_path / "run", init=str(home / "run"), freeze_until="layer1", chunk=4)
    same, changed = frozen_names(run)
    assert {name.split(".")[0] for name in same} == {"conv1", "bn1", "layer1"}
    assert {name.split(".")[0] for name in changed} == {"layer2"}
    record = run.read_recipe()
    assert record["init"]["from"] == str(home / "run")
    assert record["init"]["step"] == 3
    assert load(run.initial).recipe == Recipe.from_dict(json.loads(json.dumps(record["recipe"])))


def test_statistics_that_chunks_average_would_drift(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SimCLR, "train", nn.Module.train)
    with pytest.raises(AssertionError):
        test_frozen_layers_come_out_as_they_came_also_in_chunks(home, tmp_path)


def test_what_was_loaded_learns_at_its_own_rate(home: Path) -> None:
    recipe = RECIPE.with_settings(init=str(home / "run" / "encoder.safetensors"), init_rate=0.25)
    state = started(recipe, initial(recipe))
    groups = state.optimizer.param_groups
    rates = {id(parameter): group.get("lr_share", 1.0) for group in groups for parameter in group["params"]}
    assert {rates[id(p)] for p in state.model.encoder.parameters()} == {0.25}
    assert {rates[id(p)] for p in state.model.head.parameters() if p.requires_grad} == {1.0}
    whole = started(recipe, initial(recipe.with_settings(init=str(home / "run"))))
    assert {group["lr_share"] for group in whole.optimizer.param_groups} == {0.25}, "a run's head was loaded too"


def test_the_same_command_continues_and_needs_the_file_no_more(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "w.pth"
    torch.save(load(home / "run").encoder.state_dict(), file)
    run = train(home, tmp_path / "run", init=str(file), init_rate=0.5)
    came, ended = run.initial.read_bytes(), safetensors.torch.load_file(run.encoder)
    file.unlink()
    train(home, tmp_path / "run", init=str(file), init_rate=0.5)
    require_equal(safetensors.torch.load_file(run.encoder), ended)
    assert run.initial.read_bytes() == came
    for checkpoint in run.checkpoints.iterdir():
        checkpoint.unlink()
    torch.save(build_encoder(RECIPE.encoder, channels=3).state_dict(), file)
    with pytest.raises(TwofoldError, match=r"differ from those that the run in .* was begun with"):
        train(home, tmp_path / "run", init=str(file), init_rate=0.5)
    capsys.readouterr()
