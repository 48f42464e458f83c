"""The scripts in examples/ run."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_microscopy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOFOLD_CACHE", str(tmp_path / "cache"))
    script = example("microscopy")
    script.main(script.write_images(tmp_path / "images", count=48), tmp_path / "run", epochs=2.0)
    assert "microscopy:Stain(scale=0.3, shift=0.05)" in (tmp_path / "run" / "recipe.json").read_text()
    assert (tmp_path / "run" / "report.html").is_file()


def test_the_stain_of_microscopy() -> None:
    """Unit scale and no shift return the image; twice the density is the square of the intensity."""
    stain, images = example("microscopy").Stain(), torch.rand(2, 3, 8, 8) * 0.9 + 0.1
    one, nothing = torch.ones(2, 3), torch.zeros(2, 3)
    torch.testing.assert_close(stain.apply(images, (one, nothing)), images)
    torch.testing.assert_close(stain.apply(images, (2 * one, nothing)), images**2)


def test_an_encoder_and_a_data_set_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TWOFOLD_CACHE", str(tmp_path / "cache"))
    example("own_encoder").main(tmp_path / "run")
    assert capsys.readouterr().out.rstrip().endswith("(1, 32)")
    assert "own:own_encoder.Transformer" in (tmp_path / "run" / "recipe.json").read_text()
    assert (tmp_path / "run" / "evaluation.json").is_file()


def test_the_own_loop_has_the_losses_of_pretrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = example("own_loop")
    images = script.write_images(tmp_path / "images")
    own, theirs = script.own_loop(images), script.pretrained(images, tmp_path / "run")
    assert len(own) == script.STEPS
    assert own == pytest.approx(theirs, rel=1e-6)
    assert own[0] != pytest.approx(own[-1], rel=1e-3), "the weights move"
    monkeypatch.setattr(script, "PEAK", 0.9 * script.PEAK)
    assert script.own_loop(images) != pytest.approx(theirs, rel=1e-6), "another rate is seen"


def test_the_own_loop_is_short() -> None:
    text = (EXAMPLES / "own_loop.py").read_text()
    body = text[text.index("def own_loop") : text.index("def pretrained")].strip().splitlines()
    assert len(body) <= 40
