"""Encoders from elsewhere: what they see, and what is refused by name."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn
from torchvision import models

from twofold.errors import TwofoldError
from twofold.hardware.device import resolve_hardware
from twofold.recipes.recipe import HardwareRecipe, Recipe
from twofold.runs.encoder_file import Loaded, build_untrained, load, save_encoder
from twofold.runs.other_encoders import load_other

CPU = HardwareRecipe(device="cpu", precision="fp32")
RECIPE = Recipe().with_settings(size_px=16, encoder="resnet10", stages=1, width=0.25, stem="strided", eval_size_px=24)
RECIPE = RECIPE.with_settings(device="cpu", precision="fp32")


def write_encoder(path: Path, recipe: Recipe) -> Loaded:
    save_encoder(path, build_untrained(recipe, 0, resolve_hardware(CPU)), recipe)
    return load(path, hardware=CPU)


@pytest.fixture(scope="module")
def like(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return write_encoder(tmp_path_factory.mktemp("like") / "encoder.safetensors", RECIPE)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """A ResNet-18 whose batch norms have seen something, so that their statistics count."""
    torch.manual_seed(0)
    module = models.resnet18(weights=None)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(std=0.1)
            part.running_var.uniform_(0.5, 2.0)
    return module.eval()


def write_weights(network: nn.Module, path: Path, form: str) -> Path:
    weights = network.state_dict()
    if form == "safetensors":
        safetensors.torch.save_file(weights, path)
    else:
        torch.save({"epoch": 3, "state_dict": weights} if form == "in a checkpoint" else weights, path)
    return path


@pytest.mark.parametrize("form", ["plain", "in a checkpoint", "safetensors"])
def test_torchvision_features_are_torchvisions_own_on_normalised_views(
    like: Loaded, network: nn.Module, tmp_path: Path, form: str
) -> None:
    file = tmp_path / ("weights.safetensors" if form == "safetensors" else "weights.pth")
    other = load_other(f"torchvision:resnet18={write_weights(network, file, form)}", like, size_px=32)
    assert (other.name, other.views.embedding_px) == ("torchvision:resnet18", 32)
    views = torch.rand(3, 3, 32, 32)
    normalise = models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    mean, std = (torch.tensor(values)[:, None, None] for values in (normalise.mean, normalise.std))
    layers = nn.Sequential(*[part for name, part in network.named_children() if name != "fc"], nn.Flatten())
    with torch.inference_mode():
        torch.testing.assert_close(other.encoder(views), layers((views - mean) / std))
        assert not torch.allclose(other.encoder(views), layers(views), rtol=0.01)


def test_without_a_size_it_sees_the_views_of_the_run(like: Loaded, network: nn.Module, tmp_path: Path) -> None:
    file = write_weights(network, tmp_path / "weights.pth", "plain")
    assert load_other(f"torchvision:resnet18={file}", like).views == like.recipe.views


def test_an_exported_encoder_is_itself(like: Loaded, tmp_path: Path) -> None:
    recipe = RECIPE.with_settings(width=0.5, eval_size_px=20)
    theirs = write_encoder(tmp_path / "wider.safetensors", recipe)
    other = load_other(str(tmp_path / "wider.safetensors"), like)
    assert (other.name, other.views) == ("wider", recipe.views)
    views = torch.rand(2, 3, 20, 20)
    with torch.inference_mode():
        assert torch.equal(other.encoder(views), theirs.encoder(views))


def test_weights_of_another_network_are_refused_by_name(like: Loaded, network: nn.Module, tmp_path: Path) -> None:
    file = write_weights(network, tmp_path / "weights.pth", "plain")
    with pytest.raises(TwofoldError, match=r"weights\.pth' do not fit 'torchvision:resnet34' .*layer") as caught:
        load_other(f"torchvision:resnet34={file}", like)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"these are no weights", b"\x80\x02garbage", b"PK\x03\x04garbage", "list", "tensor", "numbered", "missing"],
)
@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_file_that_holds_no_weights_is_one_clear_line(
    like: Loaded, tmp_path: Path, content: bytes | str, name: str
) -> None:
    values: dict[str, Any] = {"list": [1], "tensor": torch.zeros(2), "numbered": {1: torch.zeros(2)}}
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content in values:
        torch.save(values[content], tmp_path / name)
    with pytest.raises(TwofoldError, match=f"{name}' cannot be read as weights") as caught:
        load_other(f"torchvision:resnet18={tmp_path / name}", like)
    assert "\n" not in str(caught.value)


def test_an_unknown_network_and_one_without_a_file(like: Loaded, tmp_path: Path) -> None:
    with pytest.raises(TwofoldError, match="'resnet81'; did you mean"):
        load_other(f"torchvision:resnet81={tmp_path / 'x.pth'}", like)
    with pytest.raises(TwofoldError, match=r"names no weights.*Write torchvision:resnet18=FILE"):
        load_other("torchvision:resnet18", like)
    with pytest.raises(TwofoldError, match="is not a run"):
        load_other(str(tmp_path / "nowhere"), like)


def test_other_channels_are_refused(like: Loaded, network: nn.Module, tmp_path: Path) -> None:
    grey = write_encoder(tmp_path / "grey.safetensors", RECIPE.with_settings(channels=1))
    with pytest.raises(TwofoldError, match=r"grey\.safetensors' takes 1 channels, but that of the run takes 3"):
        load_other(str(tmp_path / "grey.safetensors"), like)
    file = write_weights(network, tmp_path / "weights.pth", "plain")
    with pytest.raises(TwofoldError, match="'torchvision:resnet18' takes 3 channels, but the run takes 1"):
        load_other(f"torchvision:resnet18={file}", grey)


@pytest.mark.skipif(find_spec("timm") is not None, reason="timm is installed")
def test_timm_that_is_not_installed_is_named(like: Loaded, tmp_path: Path) -> None:
    with pytest.raises(TwofoldError, match=r"needs timm, which is not installed. Run: pip install"):
        load_other(f"timm:resnet18={tmp_path / 'x.pth'}", like)


@pytest.mark.skipif(find_spec("timm") is None, reason="timm is not installed: its encoders cannot be built")
def test_timm_features_are_timms_own_on_normalised_views(like: Loaded, tmp_path: Path) -> None:
    import timm

    network = timm.create_model("resnet18", pretrained=False).eval()
    file = write_weights(network, tmp_path / "weights.pth", "plain")
    other = load_other(f"timm:resnet18={file}", like, size_px=32)
    views = torch.rand(3, 3, 32, 32)
    mean, std = (torch.tensor(network.default_cfg[name])[:, None, None] for name in ("mean", "std"))
    with torch.inference_mode():
        own = network.forward_head(network.forward_features((views - mean) / std), pre_logits=True)
        torch.testing.assert_close(other.encoder(views), own)
