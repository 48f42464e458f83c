"""What is exported is read back and agrees on the user's images, or nothing is there."""

import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import twofold
from pictures import write_pictures
from small_recipe import SMALL
from twofold.errors import TwofoldError
from twofold.hardware.device import resolve_hardware
from twofold.runs.encoder_file import build_untrained
from twofold.runs.formats import FORMATS
from twofold.runs.loaded import Loaded

SHARED = {"encoder": "resnet18", "stages": 4, "width": 1.0}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/, run/ and cache/."""
    home = tmp_path_factory.mktemp("export")
    data = write_pictures(home / "data", per_class=8)
    twofold.pretrain(data, out=home / "run", recipe=SMALL, cache=home / "cache", verbose=False)
    return home


def loaded(**settings: object) -> Loaded:
    recipe = SMALL.with_settings(**settings)
    hardware = resolve_hardware(recipe.hardware)
    return Loaded(build_untrained(recipe, 0, hardware), recipe, hardware, None)


def test_the_run_s_own_images_are_compared_on(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exported = twofold.export(home / "run", to="safetensors", cache=home / "cache")
    assert exported.folder == home / "run" / "export-safetensors"
    assert exported.agreement.images == 24
    assert exported.agreement.largest_difference == 0
    kept = json.loads((exported.folder / "agreement.json").read_text())
    assert kept["same_neighbour"] == 1
    assert kept["bytes"] == (exported.folder / "encoder.safetensors").stat().st_size
    assert "no normalisation" in capsys.readouterr().out


def test_torch_export_takes_images_of_any_size_and_gives_the_classifier_s_probabilities(home: Path) -> None:
    asked = {"cache": home / "cache", "verbose": False}
    answers = twofold.predict(home / "run", home / "data", out=home / "answers", precision="fp32", **asked)
    file = home / "answers" / "classifier.safetensors"
    exported = twofold.export(home / "run", to="torch-export", classifier=file, **asked)
    assert exported.agreement.same_top1 == 1
    assert json.loads((exported.folder / "classes.json").read_text()) == ["bars", "checks", "discs"]
    module = torch.export.load(exported.folder / "encoder.pt2").module()
    images = np.random.default_rng(0).integers(0, 256, (2, 30, 41, 3), dtype=np.uint8)
    expected = twofold.load(home / "run", device="cpu", precision="fp32").embed(images)
    h, probabilities = (part.detach().numpy() for part in module(torch.from_numpy(images)))
    np.testing.assert_allclose(h, expected, atol=1e-5)
    np.testing.assert_allclose(probabilities, answers.classifier.probabilities(expected), atol=1e-4)


def test_safetensors_holds_no_classifier(home: Path) -> None:
    asked = {"cache": home / "cache", "verbose": False}
    twofold.predict(home / "run", home / "data", out=home / "mine", **asked)
    with pytest.raises(TwofoldError, match="holds the encoder alone"):
        twofold.export(home / "run", to="safetensors", classifier=home / "mine" / "classifier.safetensors", **asked)


def test_what_does_not_agree_is_not_written(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form = FORMATS["safetensors"]

    def turned(folder: Path, loaded: Loaded) -> object:
        read = form.read(folder, loaded)
        return lambda views: read(np.ascontiguousarray(views[..., ::-1, ::-1]))

    monkeypatch.setitem(FORMATS, "safetensors", replace(form, read=turned))
    with pytest.raises(TwofoldError, match="does not agree with the encoder on 24 of your images"):
        twofold.export(home / "run", to="safetensors", out=tmp_path / "out", cache=home / "cache", verbose=False)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_else_is_left_alone(home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(TwofoldError, match="nothing of yours is overwritten"):
        twofold.export(home / "run", to="safetensors", out=tmp_path, cache=home / "cache", verbose=False)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(("channels", "stem"), [(1, "imagenet"), (3, "small")])
def test_torchvision_s_keys_load_strictly(tmp_path: Path, channels: int, stem: str) -> None:
    one = loaded(**SHARED, stem=stem, channels=channels)
    FORMATS["torchvision"].write(one, None, tmp_path)
    assert runpy.run_path(str(tmp_path / "load.py"))["model"].training is False
    views = torch.rand(2, channels, 16, 16)
    with torch.no_grad():
        expected = one.encoder(views).numpy()
    got, scores = FORMATS["torchvision"].read(tmp_path, one)(views.numpy())
    assert scores is None
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_with_a_classifier_torchvision_s_last_layer_is_it(tmp_path: Path) -> None:
    one, classifier = loaded(**SHARED, stem="imagenet"), nn.Linear(512, 3)
    FORMATS["torchvision"].write(one, classifier, tmp_path)
    views = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        logits = runpy.run_path(str(tmp_path / "load.py"))["model"](views)
        torch.testing.assert_close(logits, classifier(one.encoder(views)), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("settings", [{}, {**SHARED, "width": 0.5}, {**SHARED, "encoder": "resnet10"}])
def test_a_network_that_torchvision_lacks_is_refused(tmp_path: Path, settings: dict[str, object]) -> None:
    with pytest.raises(TwofoldError, match=r"but torchvision has no such network. Give --to onnx"):
        FORMATS["torchvision"].write(loaded(**settings), None, tmp_path)


@pytest.mark.parametrize(("to", "package"), [("onnx", "onnx"), ("timm", "timm"), ("hf", "timm")])
def test_a_missing_package_is_one_line(home: Path, monkeypatch: pytest.MonkeyPatch, to: str, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(TwofoldError, match=rf"--to {to} needs {package}.*pip install 'twofold\[{package}\]'"):
        twofold.export(home / "run", to=to, verbose=False)


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(TwofoldError, match="unknown to 'onxx'; did you mean 'onnx'"):
        twofold.export("run", to="onxx")


def test_onnx_gives_the_classifier_s_probabilities_of_images_of_any_size(home: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    import onnxruntime

    asked = {"cache": home / "cache", "verbose": False}
    answers = twofold.predict(home / "run", home / "data", out=home / "onnx-answers", precision="fp32", **asked)
    file = home / "onnx-answers" / "classifier.safetensors"
    exported = twofold.export(home / "run", to="onnx", classifier=file, out=home / "onnx", **asked)
    assert exported.agreement.same_top1 == 1
    session = onnxruntime.InferenceSession(str(exported.folder / "encoder.onnx"))
    images = np.random.default_rng(0).integers(0, 256, (2, 30, 41, 3), dtype=np.uint8)
    h, probabilities = session.run(["h", "probabilities"], {"images": images})
    expected = twofold.load(home / "run", device="cpu", precision="fp32").embed(images)
    np.testing.assert_allclose(h, expected, atol=1e-4)
    np.testing.assert_allclose(probabilities, answers.classifier.probabilities(expected), atol=1e-4)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)


def test_labels_fit_a_classifier_that_goes_with_the_encoder(home: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    named = [f"{name}/{i:03d}.png,{name}" for name in ("bars", "discs") for i in range(6)]
    table.write_text("\n".join(["path,label", *named]))
    asked = {"cache": home / "cache", "verbose": False}
    exported = twofold.export(home / "run", to="torch-export", labels=table, out=tmp_path / "out", **asked)
    assert json.loads((exported.folder / "classes.json").read_text()) == ["bars", "discs"]
    assert exported.agreement.same_top1 == 1
    module = torch.export.load(exported.folder / "encoder.pt2").module()
    _, probabilities = module(torch.zeros(1, 20, 20, 3, dtype=torch.uint8))
    assert probabilities.shape == (1, 2)
    with pytest.raises(TwofoldError, match="left out where labels are given"):
        twofold.export(home / "run", to="onnx", labels=table, classifier=table, **asked)


def test_onnx_agrees(home: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    exported = twofold.export(home / "run", to="onnx", cache=home / "cache", verbose=False)
    assert exported.agreement.largest_difference < 1e-4


@pytest.mark.parametrize("to", ["timm", "hf"])
def test_timm_s_keys_load_strictly(tmp_path: Path, to: str) -> None:
    pytest.importorskip("timm")
    one = loaded(**SHARED, stem="imagenet")
    FORMATS[to].write(one, None, tmp_path)
    views = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        expected = one.encoder(views).numpy()
    got, _ = FORMATS[to].read(tmp_path, one)(views.numpy())
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)
