"""A loaded encoder: its transform, its inner layers, its device."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from pictures import picture
from small_recipe import SMALL
from twofold.errors import TwofoldError
from twofold.hardware.device import resolve_hardware
from twofold.models.own import own_encoder
from twofold.recipes.recipe import HardwareRecipe
from twofold.runs.encoder_file import build_untrained, load, save_encoder
from twofold.runs.loaded import Loaded

CPU = HardwareRecipe(device="cpu", precision="fp32")
PIXELS = np.stack([picture("discs", seed) for seed in range(3)])  # (3, 24, 24, 3)
RECIPE = SMALL.with_settings(stages=2)


class Odd(nn.Module):
    """Of its layers one is used twice, one returns a pair, one is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True)
        self.unused, self.pair = nn.Linear(2, 2), Pair()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.pair(self.relu(self.conv(x)))[0] - 0.5)


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


def loaded(**encoder: object) -> Loaded:
    recipe = RECIPE if not encoder else RECIPE.__class__(**{**vars(RECIPE), **encoder})
    hardware = resolve_hardware(CPU)
    return Loaded(build_untrained(recipe, 0, hardware), recipe, hardware, None)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoder") / "encoder.safetensors"
    save_encoder(path, loaded().encoder, RECIPE)
    return path


def test_transform_and_encoder_are_what_embed_computes() -> None:
    one = loaded()
    views = torch.stack([one.transform(pixels) for pixels in PIXELS])
    assert views.shape == (3, 3, 16, 16)
    assert views.dtype == torch.float32
    with torch.no_grad():
        np.testing.assert_array_equal(one.encoder(views).numpy(), one.embed(PIXELS))
    assert one.dim == one.embed(PIXELS).shape[1]


def test_every_form_of_an_image_has_one_view(tmp_path: Path) -> None:
    transform = loaded().transform
    image = Image.fromarray(PIXELS[0])
    image.save(tmp_path / "a.png")
    tensor = torch.from_numpy(PIXELS[0]).permute(2, 0, 1)
    views = [transform(form) for form in (PIXELS[0], image, tmp_path / "a.png", tensor, tensor.float() / 255)]
    assert all(torch.equal(view, views[0]) for view in views)
    with pytest.raises(TwofoldError, match="cannot be read"):
        transform(PIXELS[0][..., :2])


def test_a_transform_goes_to_the_workers_of_a_loader() -> None:
    transform = loaded().transform
    assert torch.equal(pickle.loads(pickle.dumps(transform))(PIXELS[0]), transform(PIXELS[0]))


def test_features_are_what_the_layer_returns() -> None:
    one = loaded()
    views = torch.stack([one.transform(pixels) for pixels in PIXELS])
    encoder = one.encoder
    with torch.no_grad():
        stem = torch.relu(encoder.bn1(encoder.conv1(views)))
        expected = encoder.layer1(stem)
    found = one.features(PIXELS, layer="layer1", batch_size=2)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one.features(PIXELS, layer="layer2").mean(axis=(2, 3)), one.embed(PIXELS), rtol=1e-5)
    assert not encoder.layer1._forward_hooks, "nothing stays behind"


def test_features_are_those_before_a_later_layer_writes_into_them() -> None:
    one = loaded(encoder=own_encoder(Odd))
    conv = one.features(PIXELS, layer="conv")
    assert conv.min() < 0, "the ReLU after it works in place"
    relu = one.features(PIXELS, layer="relu")
    np.testing.assert_allclose(relu, np.maximum(np.maximum(conv, 0) - 0.5, 0), rtol=1e-5, atol=1e-6)  # its last use


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ("rely", "unknown layer 'rely'; did you mean 'relu'"),
        ("unused", "layer 'unused' was not used"),
        ("pair", "layer 'pair' returned a tuple"),
    ],
)
def test_layers_without_features_are_refused(layer: str, words: str) -> None:
    one = loaded(encoder=own_encoder(Odd))
    assert one.layers == ["conv", "relu", "unused", "pair"]
    with pytest.raises(TwofoldError, match=words):
        one.features(PIXELS, layer=layer)
    with pytest.raises(TwofoldError, match="at least one image"):
        one.features([], layer="conv")


def test_a_device_by_its_name(file: Path) -> None:
    assert load(file, device="cpu").hardware.device == torch.device("cpu")
    assert load(file, device=torch.device("cpu")).hardware.device == torch.device("cpu")
    assert load(file, "cpu", precision="bf16").hardware.precision == "bf16"
    with pytest.raises(TwofoldError, match="device is 'gpu'"):
        load(file, device="gpu")
    with pytest.raises(TwofoldError, match="device is 'cpu', but it must be left out beside hardware"):
        load(file, device="cpu", hardware=CPU)


def test_an_encoder_of_one_s_own_is_given_back(tmp_path: Path) -> None:
    one = loaded(encoder=own_encoder(Odd))
    save_encoder(tmp_path / "own.safetensors", one.encoder, one.recipe)
    for given in (Odd, Odd(), lambda: Odd()):
        again = load(tmp_path / "own.safetensors", device="cpu", precision="fp32", encoder=given)
        np.testing.assert_array_equal(again.embed(PIXELS), one.embed(PIXELS))
    with pytest.raises(TwofoldError, match=r"twofold\.load\(run, encoder=Odd\)"):
        load(tmp_path / "own.safetensors")


def test_an_encoder_of_another_shape_is_refused(tmp_path: Path) -> None:
    one = loaded(encoder=own_encoder(Odd))
    save_encoder(tmp_path / "own.safetensors", one.encoder, one.recipe)
    other = Odd()
    other.conv = nn.Conv2d(3, 5, 3)
    with pytest.raises(TwofoldError, match=r"do not fit the recipe's encoder 'own:.*Odd'"):
        load(tmp_path / "own.safetensors", encoder=other)
