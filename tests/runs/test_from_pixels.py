"""The preprocessing that a graph holds is the view of embedding."""

import dataclasses

import pytest
import torch
from torch import nn

from twofold.models import ResNet
from twofold.recipes.recipe import Recipe
from twofold.runs.formats.from_pixels import FromPixels, plain
from twofold.views import center_view

VIEWS = Recipe().with_settings(size_px=12, policy="small").views


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("height", "width"), [(12, 12), (31, 20), (9, 40), (50, 51)])
@pytest.mark.parametrize("fraction", [1.0, 0.875])
def test_it_is_the_central_view(interpolation: str, height: int, width: int, fraction: float) -> None:
    views = dataclasses.replace(VIEWS, interpolation=interpolation, eval_crop_fraction=fraction)
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, height, width, 3), generator=draw, dtype=torch.uint8)
    expected = center_view(
        images.permute(0, 3, 1, 2),
        torch.tensor([[height, width]] * 2),
        size_px=12,
        crop_fraction=fraction,
        interpolation=interpolation,
    )
    torch.testing.assert_close(FromPixels(nn.Identity(), views).view(images), expected, atol=2e-6, rtol=0)


def test_a_plain_copy_gives_the_same_and_leaves_the_encoder() -> None:
    encoder = ResNet(10, stem="strided", width=0.25).eval()
    views, kinds = torch.rand(2, 3, 16, 16), {type(module) for module in encoder.modules()}
    with torch.no_grad():
        torch.testing.assert_close(plain(encoder)(views), encoder(views))
    assert {type(module) for module in encoder.modules()} == kinds
    assert nn.Conv2d in {type(module) for module in plain(encoder).modules()}


def test_with_a_classifier_there_are_probabilities_too() -> None:
    encoder, classifier = ResNet(10, stem="strided", width=0.25, stages=1), nn.Linear(16, 3)
    h, probabilities = FromPixels(encoder, VIEWS, classifier).eval()(torch.zeros(2, 20, 20, 3, dtype=torch.uint8))
    torch.testing.assert_close(probabilities, classifier(h).softmax(1))
