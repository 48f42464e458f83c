"""Colour ops against torchvision, and their laws."""

import itertools

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from twofold.views.ops import colour

OPS = {
    "brightness": (colour.brightness, functional.adjust_brightness, (0.0, 0.3, 1.0, 1.8)),
    "contrast": (colour.contrast, functional.adjust_contrast, (0.0, 0.4, 1.0, 1.9)),
    "saturation": (colour.saturation, functional.adjust_saturation, (0.0, 0.5, 1.0, 2.0)),
    "hue": (colour.hue, functional.adjust_hue, (-0.5, -0.37, -0.1, 0.0, 0.2, 0.5)),
}
IDENTITY = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0}
JITTER = (functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation, functional.adjust_hue)


def random_images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def colour_cube() -> Tensor:
    """All colours of a 9 x 9 x 9 grid: greys, primaries, and every tie between channels."""
    axis = torch.linspace(0, 1, 9)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).reshape(1, 3, 27, 27).contiguous()


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("images", [random_images(1, 3, 20, 14), colour_cube(), torch.zeros(1, 3, 4, 4)])
def test_equals_torchvision(name, images):
    op, oracle, parameters = OPS[name]
    batch = images.expand(len(parameters), -1, -1, -1)
    ours = op(batch, torch.tensor(parameters))
    for row, parameter in enumerate(parameters):
        torch.testing.assert_close(ours[row], oracle(images[0], parameter), atol=1e-5, rtol=0)
    assert ours.amin() >= 0
    assert ours.amax() <= 1


@pytest.mark.parametrize("name", OPS)
def test_identity_parameter_returns_the_image_and_input_is_untouched(name):
    op, _, parameters = OPS[name]
    images = random_images(3, 3, 10, 10)
    before = images.clone()
    torch.testing.assert_close(op(images, torch.full((3,), IDENTITY[name])), images, atol=1e-6, rtol=0)
    op(images, torch.full((3,), parameters[0]))
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", ["saturation", "hue"])
def test_grey_images_have_no_hue_and_no_saturation(name):
    images = random_images(2, 1, 6, 6)
    assert torch.equal(OPS[name][0](images, torch.tensor([0.3, 0.4])), images)


@pytest.mark.parametrize("name", ["brightness", "contrast"])
def test_grey_images_equal_torchvision(name):
    op, oracle, _ = OPS[name]
    images = random_images(2, 1, 6, 6)
    ours = op(images, torch.tensor([0.3, 1.4]))
    for row, parameter in enumerate((0.3, 1.4)):
        torch.testing.assert_close(ours[row], oracle(images[row], parameter), atol=1e-6, rtol=0)


def test_hue_shifts_add_up_and_a_whole_turn_returns_the_image():
    images = random_images(1, 3, 16, 16)
    half = torch.tensor([0.5])
    torch.testing.assert_close(colour.hue(colour.hue(images, half), half), images, atol=1e-5, rtol=0)
    there = colour.hue(colour.hue(images, torch.tensor([0.1])), torch.tensor([0.25]))
    torch.testing.assert_close(there, colour.hue(images, torch.tensor([0.35])), atol=1e-5, rtol=0)


def test_a_third_of_a_turn_passes_red_to_green_to_blue():
    images = random_images(1, 3, 16, 16)
    rolled = images.roll(1, dims=1)
    torch.testing.assert_close(colour.hue(images, torch.tensor([1 / 3])), rolled, atol=1e-5, rtol=0)


def test_grayscale_equals_torchvision():
    images = random_images(2, 3, 9, 7)
    expected = functional.rgb_to_grayscale(images, num_output_channels=3)
    torch.testing.assert_close(colour.grayscale(images), expected, atol=1e-6, rtol=0)
    grey = random_images(2, 1, 9, 7)
    assert torch.equal(colour.grayscale(grey), grey)


def test_solarise_equals_torchvision():
    images = random_images(3, 3, 9, 7)
    ours = colour.solarise(images, torch.tensor([0.0, 0.5, 1.1]))
    for row, threshold in enumerate((0.0, 0.5, 1.0)):
        assert torch.equal(ours[row], functional.solarize(images[row], threshold))


def jitter_case(channels: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """All 24 orders, with random factors, some of which change nothing."""
    images = random_images(24, channels, 12, 12)
    factors = torch.rand(24, 4, generator=torch.Generator().manual_seed(1)) * 1.6 + 0.2
    factors[:, 3] = factors[:, 3] / 2 - 0.5
    factors[::5, 1], factors[::7, 3], factors[3] = 1.0, 0.0, torch.tensor([1.0, 1.0, 1.0, 0.0])
    return images, factors, torch.tensor(list(itertools.permutations(range(4)))).float()


@pytest.mark.parametrize("channels", [1, 3])
def test_jitter_equals_torchvision_in_each_images_own_order(channels):
    images, factors, order = jitter_case(channels)
    ours = colour.jitter(images, factors, order)
    for row in range(24):
        expected = images[row]
        for index in order[row].long().tolist():
            expected = JITTER[index](expected, factors[row, index].item())
        torch.testing.assert_close(ours[row], expected, atol=1e-5, rtol=0)
    assert torch.equal(ours[3], images[3])


def test_the_jitter_comparison_sees_a_wrong_order(monkeypatch):
    right = colour.jitter
    monkeypatch.setattr(colour, "jitter", lambda images, factors, order: right(images, factors, order.flip(1)))
    with pytest.raises(AssertionError):
        test_jitter_equals_torchvision_in_each_images_own_order(3)


def test_jitter_of_a_batch_is_jitter_of_each_image_and_leaves_its_input():
    images, factors, order = jitter_case()
    before = images.clone()
    batch = colour.jitter(images, factors, order)
    each = [colour.jitter(images[i : i + 1], factors[i : i + 1], order[i : i + 1]) for i in range(24)]
    torch.testing.assert_close(batch, torch.cat(each), atol=1e-6, rtol=0)
    assert torch.equal(images, before)
