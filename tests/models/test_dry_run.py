"""Which sizes an encoder takes is found before anything is trained, and finding it leaves no trace."""

import pytest
import torch
from torch import Tensor, nn

from twofold.errors import TwofoldError
from twofold.models import Encoder, ResNet, adapt, build_encoder, require_size
from twofold.recipes.recipe import EncoderRecipe


class _Counting(nn.Module):
    """Bound to images of 8 px; keeps books, even in evaluation and where it fails."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 8), nn.BatchNorm2d(4), nn.Dropout(0.5))
        self.body[1].eval()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        assert x.shape[2] == 8, "Wrong height"
        return self.body(x)


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("size_px", [8, 12])
def test_the_encoder_stays_as_it_was(size_px: int) -> None:
    encoder = adapt(_Counting(), size_px=8).train()
    encoder.module.body[1].eval()
    before, modes = _state(encoder), [part.training for part in encoder.modules()]
    if size_px == 8:
        require_size(encoder, size_px, 3)
    else:
        with pytest.raises(TwofoldError, match=r"built for views of 8 px, but .* at 12 px"):
            require_size(encoder, size_px, 3)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert [part.training for part in encoder.modules()] == modes
    assert {True, False} == set(modes)
    assert all(parameter.grad is None for parameter in encoder.parameters())


def test_a_transformer_fed_another_size_is_told_the_flag() -> None:
    with torch.device("meta"):
        encoder = build_encoder(EncoderRecipe(encoder="torchvision:vit_b_16"), channels=3, size_px=48)
    require_size(encoder, 48, 3)
    with pytest.raises(AssertionError, match="Wrong image height"):  # what a user would have seen in the middle
        encoder(torch.empty(2, 3, 64, 64, device="meta"))
    with pytest.raises(
        TwofoldError, match=r"built for views of 48 px, but .* at 64 px.*\(Wrong .*\)\. Give --eval-size-px 48\."
    ) as caught:
        require_size(encoder, 64, 3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size_px", [8, 31, 64])
def test_a_resnet_takes_every_size(size_px: int) -> None:
    require_size(ResNet(10, width=0.25, channels=1), size_px, 1)


def test_vectors_whose_length_follows_the_size_are_refused() -> None:
    encoder = adapt(nn.Flatten(), size_px=8)
    require_size(encoder, 8, 3)
    with pytest.raises(TwofoldError, match=r"8 px, but .* at 10 px, .*length 300 .*Give --eval-size-px 8\.$"):
        require_size(encoder, 10, 3)


class _WrongDim(Encoder):
    dim = 7

    def forward(self, views: Tensor) -> Tensor:
        return views.mean(dim=(2, 3))


def test_an_encoder_of_one_s_own_without_a_size_is_told_the_shape() -> None:
    with pytest.raises(TwofoldError, match=r"_WrongDim failed .*\(1, 3, 16, 16\).*returned \(1, 3\), not \(1, 7\)"):
        require_size(_WrongDim(), 16, 3)


def test_a_wrong_number_of_channels_is_said_with_the_shape() -> None:
    with pytest.raises(TwofoldError, match=r"failed on views of shape \(1, 1, 16, 16\).*Give .*--channels"):
        require_size(ResNet(10, width=0.25), 16, 1)
