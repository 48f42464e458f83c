"""Weights in every form: their tensors and what they expect; a pickle is never read in full."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from small_recipe import SMALL
from twofold.errors import TwofoldError
from twofold.hardware.device import resolve_hardware
from twofold.models.channels import NONE, Normalization
from twofold.recipes.init import InitRecipe
from twofold.runs import weights as reading
from twofold.runs.encoder_file import build_untrained, load, save_encoder
from twofold.runs.formats import FORMATS
from twofold.runs.weights import OwnInit, marked, name_of, read_weights, weights_of

TENSORS = {"conv1.weight": torch.arange(27.0).reshape(1, 3, 3, 3), "bn1.weight": torch.ones(1)}


def same(found: Any, expected: dict[str, Tensor] = TENSORS) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.bin", "w.safetensors"])
def test_files_without_a_word_on_normalisation(tmp_path: Path, name: str) -> None:
    if name.endswith("safetensors"):
        safetensors.torch.save_file(TENSORS, tmp_path / name)
    else:
        torch.save(TENSORS, tmp_path / name)
    found = read_weights(tmp_path / name)
    assert same(found.tensors)
    assert (found.normalization, found.recipe, found.head, found.source) == (None, None, {}, str(tmp_path / name))


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict"])
def test_a_training_checkpoint_holds_them_among_other_things(tmp_path: Path, wrapper: str) -> None:
    torch.save({"epoch": 3, wrapper: TENSORS, "optimizer": {"lr": 0.1}}, tmp_path / "w.pth")
    assert same(read_weights(tmp_path / "w.pth").tensors)


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize(
    ("config", "values"),
    [
        ("config.json", {"pretrained_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}}),
        ("preprocessor_config.json", {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}),
    ],
)
def test_a_folder_of_hugging_face_says_what_it_expects(
    tmp_path: Path, weights: str, config: str, values: dict[str, Any]
) -> None:
    if weights.endswith("bin"):
        torch.save(TENSORS, tmp_path / weights)
    else:
        safetensors.torch.save_file(TENSORS, tmp_path / weights)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / config).write_text(json.dumps(values))
    found = read_weights(tmp_path)
    assert same(found.tensors)
    assert found.normalization == Normalization((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def test_an_exported_encoder_brings_its_recipe(tmp_path: Path) -> None:
    encoder = build_untrained(SMALL, 0, resolve_hardware(SMALL.hardware))
    save_encoder(tmp_path / "encoder.safetensors", encoder, SMALL)
    found = read_weights(tmp_path / "encoder.safetensors")
    assert same(found.tensors, encoder.state_dict())
    assert (found.normalization, found.recipe) == (NONE, SMALL)


@pytest.mark.parametrize("to", ["torchvision", "timm", "hf"])
def test_what_twofold_exports_it_knows_to_expect_plain_pixels(tmp_path: Path, to: str) -> None:
    if to != "torchvision":
        pytest.importorskip("timm")
    recipe = SMALL.with_settings(encoder="resnet18", width=1.0, stages=4, stem="imagenet")
    encoder = build_untrained(recipe, 0, resolve_hardware(recipe.hardware))
    save_encoder(tmp_path / "own.safetensors", encoder, recipe)
    (tmp_path / to).mkdir()
    FORMATS[to].write(load(tmp_path / "own.safetensors", "cpu"), None, tmp_path / to)
    (file,) = [one for one in (tmp_path / to).iterdir() if one.suffix in (".pth", ".safetensors")]
    found = read_weights(file)
    assert found.normalization is not None
    assert found.normalization.is_none
    assert same(found.tensors, encoder.state_dict())


def test_a_mark_is_lost_with_the_state_dict_that_bears_it(tmp_path: Path) -> None:
    torch.save(marked(TENSORS), tmp_path / "ours.pth")
    torch.save(dict(marked(TENSORS)), tmp_path / "theirs.pth")
    assert read_weights(tmp_path / "ours.pth").normalization == NONE
    assert read_weights(tmp_path / "theirs.pth").normalization is None


class Harmful:
    """Its unpickling runs code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self.place),)

    place = ""


@pytest.mark.parametrize("form", ["torch", "plain pickle"])
def test_a_pickle_that_would_run_code_is_refused_in_one_line(tmp_path: Path, form: str) -> None:
    harm, file = Harmful(), tmp_path / "w.pth"
    Harmful.place = str(tmp_path / "ran")
    if form == "torch":
        torch.save({"model": harm}, file)
    else:
        file.write_bytes(pickle.dumps(harm))
    with pytest.raises(TwofoldError) as caught:
        read_weights(file)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()
    if form == "torch":
        assert "holds more than tensors" in str(caught.value)
        assert "torch.save(model.state_dict()" in str(caught.value)


def test_a_full_unpickle_would_have_run_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = torch.load
    monkeypatch.setattr(reading.torch, "load", lambda path, **_: whole(path, weights_only=False))
    with pytest.raises(AssertionError):
        test_a_pickle_that_would_run_code_is_refused_in_one_line(tmp_path, "torch")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "cannot be read as weights .there is no such file"),
        (lambda path: path.mkdir(), "holds neither a run .* nor weights"),
        (
            lambda path: path.write_bytes(b"these are no weights"),
            "cannot be read as weights .it is not a pickled state",
        ),
        (lambda path: torch.save([1, 2], path), "holds a list, not tensors by name"),
        (lambda path: torch.save({"epoch": 3}, path), "holds no tensors, but epoch"),
    ],
)
def test_what_holds_no_weights_is_refused(tmp_path: Path, make: Any, words: str) -> None:
    make(tmp_path / "w.pth")
    with pytest.raises(TwofoldError, match=words) as caught:
        read_weights(tmp_path / "w.pth")
    assert "\n" not in str(caught.value)


def test_objects_of_python() -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 1, 3))
    found = weights_of(OwnInit(init=name_of(module), weights=module))
    assert same(found.tensors, module.state_dict())
    assert (found.source, found.normalization) == ("own:torch.nn.modules.container.Sequential", None)
    assert same(weights_of(OwnInit(init=name_of(TENSORS), weights=TENSORS)).tensors)
    ours = build_untrained(SMALL, 0, resolve_hardware(SMALL.hardware))
    assert weights_of(OwnInit(init=name_of(ours), weights=ours)).normalization == NONE
    for wrong in (3, [3], lambda: module):
        with pytest.raises(TwofoldError, match=r"init is .* a path, an nn.Module or a state dict"):
            name_of(wrong)
    with pytest.raises(TwofoldError, match=r"init is .* a state dict"):
        weights_of(OwnInit(init="own:state_dict", weights={"a": 1}))
    with pytest.raises(TwofoldError, match=r"Give them in Python: twofold.pretrain\(..., init=...\)"):
        weights_of(InitRecipe(init="own:state_dict"))
