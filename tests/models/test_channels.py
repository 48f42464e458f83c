"""The first convolution for other images: gray ones get the same response, plain ones that of normalised ones."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from twofold.models.channels import IMAGENET, NONE, Normalization, with_channels, without_normalization


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("given", [1, 3, 5])
@pytest.mark.parametrize("wanted", [1, 2, 3, 4, 5, 6, 7])
def test_a_gray_image_gets_the_same_response(given: int, wanted: int) -> None:
    weight, gray = draw(4, given, 3, 3), draw(2, 1, 8, 8)
    before = functional.conv2d(gray.expand(-1, given, -1, -1), weight)
    changed = with_channels(weight, wanted)
    assert changed.shape == (4, wanted, 3, 3)
    torch.testing.assert_close(functional.conv2d(gray.expand(-1, wanted, -1, -1), changed), before)


def test_repeated_kernels_are_divided_by_how_often_they_occur() -> None:
    weight = torch.tensor([6.0, 9.0, 12.0]).reshape(1, 3, 1, 1)
    assert with_channels(weight, 7).flatten().tolist() == [2.0, 4.5, 6.0, 2.0, 4.5, 6.0, 2.0]
    assert with_channels(weight, 2).flatten().tolist() == [13.5, 13.5]
    assert with_channels(weight, 3) is weight


def network(*, bias: bool) -> nn.Sequential:
    torch.manual_seed(0)
    first = nn.Conv2d(3, 4, 3, bias=bias)
    norm = nn.BatchNorm2d(4)
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.5, 2.0)
    return nn.Sequential(first, norm, nn.ReLU(), nn.Conv2d(4, 4, 1)).eval()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("normalization", [IMAGENET, Normalization((0.5,), (0.25,)), NONE])
def test_folded_weights_answer_plain_images_as_the_others_do_normalised_ones(
    bias: bool, normalization: Normalization
) -> None:
    module, images = network(bias=bias), torch.rand(2, 3, 9, 9)
    mean, std = (torch.tensor(values).reshape(1, -1, 1, 1) for values in (normalization.mean, normalization.std))
    with torch.no_grad():
        expected = module((images - mean) / std)
        folded = without_normalization(module.state_dict(), "0.weight", normalization)
        assert folded is not None
        module.load_state_dict(folded)
        torch.testing.assert_close(module(images), expected)


def test_a_shift_that_has_no_place_is_not_folded() -> None:
    lonely = {"0.weight": draw(4, 3, 3, 3), "1.running_mean": draw(5)}
    assert without_normalization(lonely, "0.weight", IMAGENET) is None
    assert without_normalization({"0.weight": draw(4, 5, 3, 3), "0.bias": draw(4)}, "0.weight", IMAGENET) is None


def test_none_is_told_from_others() -> None:
    assert NONE.is_none
    assert Normalization((0.0, 0.0), (1.0, 1.0)).is_none
    assert not IMAGENET.is_none
