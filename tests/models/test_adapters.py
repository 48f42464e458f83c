"""Other people's networks as encoders."""

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from twofold.errors import TwofoldError
from twofold.models import Encoder, ResNet, adapt, build_encoder
from twofold.recipes.recipe import EncoderRecipe

SMALL = {  # one of each way to hold a classifier: fc, classifier, convolutional classifier
    "resnet18": 512,
    "shufflenet_v2_x0_5": 1024,
    "mobilenet_v3_small": 576,
    "squeezenet1_1": 512,
}


def _build(name: str, channels: int = 3, size_px: int = 64, **settings: object) -> Encoder:
    return build_encoder(EncoderRecipe(encoder=name, **settings), channels=channels, size_px=size_px)


@pytest.mark.parametrize("name", SMALL)
def test_torchvision_without_its_classifier_for_views_of_any_size(name: str) -> None:
    encoder = _build(f"torchvision:{name}")
    assert encoder.dim == SMALL[name]
    for side in (64, 96):
        h = encoder(torch.rand(2, 3, side, side))
        assert h.shape == (2, encoder.dim)
        assert h.requires_grad
    assert not any(isinstance(part, nn.Linear) and part.out_features == 1000 for part in encoder.modules())


def test_torchvision_answers_with_what_its_classifier_would_have_seen() -> None:
    encoder = _build("torchvision:shufflenet_v2_x0_5").eval()
    whole = models.shufflenet_v2_x0_5().eval()
    whole.load_state_dict(encoder.module.state_dict(), strict=False)
    seen: list[Tensor] = []
    whole.fc.register_forward_pre_hook(lambda _, values: seen.append(values[0]))
    views = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        whole(views)
        torch.testing.assert_close(encoder(views), seen[0])


def test_a_fixed_grid_becomes_a_global_average() -> None:
    assert _build("torchvision:alexnet").dim == 256  # not 256 x 6 x 6


def test_auxiliary_classifiers_are_left_out_also_in_training() -> None:
    encoder = _build("torchvision:googlenet").train()
    assert encoder(torch.rand(2, 3, 64, 64)).shape == (2, 1024)
    assert not any("aux" in name for name, _ in encoder.named_parameters())


def test_a_transformer_is_built_for_the_size_of_the_views() -> None:
    with torch.device("meta"):
        encoder = _build("torchvision:vit_b_16", size_px=48)
    assert encoder.dim == 768
    assert encoder(torch.empty(2, 3, 48, 48, device="meta")).shape == (2, 768)


def test_a_size_that_a_network_refuses_is_said_in_one_line() -> None:
    with torch.device("meta"), pytest.raises(TwofoldError, match="size_px is 50, but vit_b_16 refuses it"):
        _build("torchvision:vit_b_16", size_px=50)
    with pytest.raises(TwofoldError, match=r"failed on views of shape \(1, 3, 16, 16\)") as caught:
        _build("torchvision:alexnet", size_px=16)
    assert "\n" not in str(caught.value)


def test_grey_views_are_repeated_for_torchvision() -> None:
    encoder = _build("torchvision:resnet18", channels=1).eval()
    grey = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(encoder(grey), encoder.module(grey.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize("zero_init", [True, False])
def test_zero_init_reaches_torchvision_s_resnets(zero_init: bool) -> None:
    encoder = _build("torchvision:resnet18", zero_init=zero_init)
    assert encoder.module.layer1[0].bn2.weight.any().item() is not zero_init


def test_a_misspelt_name_gets_the_nearest_one() -> None:
    with pytest.raises(TwofoldError, match="unknown torchvision encoder 'resnet81'; did you mean 'resnet18'"):
        _build("torchvision:resnet81")


@pytest.mark.parametrize("settings", [{"width": 2.0}, {"stages": 3}, {"stem": "small"}])
@pytest.mark.parametrize("name", ["torchvision:resnet18", "timm:resnet18"])
def test_settings_of_our_resnet_are_not_silently_dropped(name: str, settings: dict[str, object]) -> None:
    with pytest.raises(TwofoldError, match=f"{next(iter(settings))} is .* has a shape of its own"):
        _build(name, **settings)


def test_without_timm_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(TwofoldError, match=r"pip install 'twofold\[timm\]'"):
        _build("timm:resnet18")


def _timm(monkeypatch: pytest.MonkeyPatch, create_model: Callable[..., nn.Module]) -> None:
    fake = SimpleNamespace(list_models=lambda: ["tiny_net", "other"], create_model=create_model)
    monkeypatch.setitem(sys.modules, "timm", fake)


def test_timm_is_asked_for_the_channels_the_size_and_no_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_model(name: str, *, pretrained: bool, num_classes: int, in_chans: int, img_size: int) -> nn.Module:
        assert (name, pretrained, num_classes, in_chans, img_size) == ("tiny_net.tag", False, 0, 1, 48)
        return nn.Sequential(nn.Conv2d(in_chans, 6, img_size), nn.Flatten())  # bound to its size

    _timm(monkeypatch, create_model)
    assert _build("timm:tiny_net.tag", channels=1, size_px=48).dim == 6
    with pytest.raises(TwofoldError, match="unknown timm encoder 'tiny_nett'; did you mean 'tiny_net'"):
        _build("timm:tiny_nett")


def test_timm_networks_for_any_size_are_not_asked_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_model(name: str, *, pretrained: bool, num_classes: int, in_chans: int) -> nn.Module:
        return nn.Conv2d(in_chans, 6, 3)

    _timm(monkeypatch, create_model)
    assert _build("timm:tiny_net", channels=1).dim == 6


def test_a_size_that_a_timm_network_refuses_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_model(name: str, **settings: object) -> nn.Module:
        raise AssertionError("height\n must be a multiple of 14")

    _timm(monkeypatch, create_model)
    with pytest.raises(TwofoldError, match=r"size_px is 64, but tiny_net refuses it \(height must be a multiple"):
        _build("timm:tiny_net")


def test_four_dimensions_are_averaged_over_the_picture() -> None:
    module = nn.Conv2d(3, 5, 3)
    encoder = adapt(module, size_px=8)
    views = torch.rand(2, 3, 8, 8)
    assert encoder.dim == 5
    torch.testing.assert_close(encoder(views), module(views).mean((2, 3)))


class _Counting(nn.Module):
    """A module that keeps books, even in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
        self.body[1].eval()
        self.register_buffer("in_place", torch.zeros(()))
        self.register_buffer("replaced", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.in_place += 1
        self.replaced = self.replaced + 1
        return self.body(x)


def test_finding_dim_leaves_values_buffers_modes_and_random_numbers_as_they_were() -> None:
    module = _Counting()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    modes = [part.training for part in module.modules()]
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    encoder = adapt(module, size_px=8)
    assert torch.equal(torch.rand(3), expected)
    assert encoder.dim == 4
    assert [part.training for part in module.modules()] == modes
    assert False in modes
    assert True in modes
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


def test_any_module_also_in_double_and_nested() -> None:
    encoder = adapt(ResNet(10, width=0.25).double(), size_px=32)
    assert encoder.dim == 128
    assert encoder(torch.rand(2, 3, 32, 32, dtype=torch.float64)).dtype == torch.float64


class _Answers(nn.Module):
    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, _: Tensor) -> object:
        return self.answer


@pytest.mark.parametrize("answer", [(torch.zeros(1, 2),), {"h": torch.zeros(1, 2)}, torch.zeros(1, 2, 3), None])
def test_answers_that_are_not_vectors_are_refused(answer: object) -> None:
    with pytest.raises(TwofoldError, match=r"_Answers returned a .*Wrap it in a module that picks one"):
        adapt(_Answers(answer))


def test_a_module_for_another_number_of_channels_is_refused() -> None:
    with pytest.raises(TwofoldError, match=r"Conv2d failed on views of shape \(1, 1, 224, 224\)"):
        adapt(nn.Conv2d(3, 4, 3), channels=1)


def test_vectors_whose_length_depends_on_the_size_are_refused_at_another_size() -> None:
    encoder = adapt(nn.Flatten(), size_px=8)
    assert encoder.dim == 192
    with pytest.raises(TwofoldError, match="returned vectors of length 300 for views of 10 px, but 192 before"):
        encoder(torch.rand(2, 3, 10, 10))
