"""Gaussian blur against torchvision."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from twofold.views.ops import blur as blur_module
from twofold.views.ops.blur import blur, blur_taps


def random_images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("size_px", "taps"), [(8, 3), (32, 3), (48, 5), (64, 7), (96, 9), (224, 23)])
def test_blur_taps_follow_the_official_rule_and_are_odd(size_px, taps):
    assert blur_taps(size_px) == taps


@pytest.mark.parametrize("size_px", [8, 32, 96, 224])
def test_blur_equals_torchvision(size_px):
    images = random_images(4, 3, size_px, size_px)
    sigma = torch.tensor([0.1, 0.7, 1.3, 2.0])
    ours = blur(images, sigma)
    for row in range(4):
        expected = functional.gaussian_blur(images[row], [blur_taps(size_px)] * 2, [sigma[row].item()] * 2)
        torch.testing.assert_close(ours[row], expected, atol=1e-5, rtol=0)


def test_blur_of_nothing_is_the_identity_and_keeps_constants():
    images = random_images(2, 3, 32, 32)
    torch.testing.assert_close(blur(images, torch.zeros(2)), images, atol=0, rtol=0)
    flat = torch.full((2, 1, 32, 32), 0.7)  # padding with zeros would darken the borders
    torch.testing.assert_close(blur(flat, torch.tensor([0.5, 2.0])), flat, atol=1e-6, rtol=0)


def test_the_blur_comparison_sees_zero_padding(monkeypatch):
    right = blur_module.band

    def zero_padded(weights: Tensor, size: int) -> Tensor:
        band, taps = right(weights, size), weights.shape[1] // 2
        line = torch.arange(size)
        offset = line - line[:, None]
        kernel = weights[:, (offset + taps).clamp(0, 2 * taps)]
        return torch.where(offset.abs() <= taps, kernel, torch.zeros_like(band))

    monkeypatch.setattr(blur_module, "band", zero_padded)
    with pytest.raises(AssertionError):
        test_blur_equals_torchvision(32)


@pytest.mark.parametrize("size", [(64, 64), (100, 100), (96, 112), (45, 131)])
def test_blur_in_blocks_is_the_blur(size, monkeypatch):
    images = torch.rand(3, 3, *size, generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor([0.1, 0.8, 2.0])
    made = []
    for large in (1, 10_000):
        monkeypatch.setattr(blur_module, "_LARGE_PX", large)
        made.append(blur(images, sigma))
    torch.testing.assert_close(*made, atol=1e-6, rtol=0)
