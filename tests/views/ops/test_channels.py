"""Ops on each channel by itself, compared with their formulas in NumPy; and when a policy takes them."""

from typing import Any

import numpy as np
import pytest
import torch

from twofold import TwoViews
from twofold.errors import TwofoldError
from twofold.recipes.recipe import Op, Recipe, ViewsRecipe
from twofold.views.augmentations import ChannelDrop, ChannelJitter
from twofold.views.ops import channels
from twofold.views.policy import build_policy, require_policy

IMAGES = torch.rand(6, 5, 7, 4, generator=torch.Generator().manual_seed(0))


def numbers(*shape: int, low: float, high: float) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) * (high - low) + low


def test_gain_offset_and_gamma_of_each_channel() -> None:
    gain, offset, gamma = (numbers(6, 5, low=a, high=b) for a, b in ((0.3, 1.7), (-0.2, 0.2), (0.5, 2.0)))
    found = channels.adjust(IMAGES, gain, offset, gamma)
    for i in range(6):
        for c in range(5):
            expected = np.clip(
                float(gain[i, c]) * IMAGES[i, c].numpy() ** float(gamma[i, c]) + float(offset[i, c]), 0, 1
            )
            np.testing.assert_allclose(found[i, c], expected, atol=1e-6)


def test_one_channel_is_dropped_and_each_as_often() -> None:
    dropped = channels.drop(IMAGES, torch.tensor([0.0, 0.19, 0.21, 0.5, 0.999, -1.0]))
    assert [[c for c in range(5) if not one[c].any()] for one in dropped] == [[0], [0], [1], [2], [4], []]
    kept = dropped != 0
    assert torch.equal(dropped[kept], IMAGES[kept])
    assert torch.equal(channels.drop(IMAGES[:, :1], torch.zeros(6)), IMAGES[:, :1])
    draws = ChannelDrop().draw(4000, torch.Generator().manual_seed(0))
    counts = np.bincount((draws[:, 0] * 5).long().numpy(), minlength=5)
    assert counts.min() > 700


def test_channel_jitter_draws_from_its_range_for_each_channel() -> None:
    values = ChannelJitter(0.4, 0.1, 0.7).draw(3000, torch.Generator().manual_seed(0)).view(3000, 3, 32)
    for row, (low, high) in enumerate(((0.6, 1.4), (-0.1, 0.1), (np.exp(-0.7), np.exp(0.7)))):
        assert low <= values[:, row].min() < low + 0.01
        assert high - 0.01 < values[:, row].max() <= high
    assert abs(np.corrcoef(values[:, 0, 0], values[:, 0, 1])[0, 1]) < 0.06  # a number for each channel of its own
    none = ChannelJitter(0.0, 0.0, 0.0)
    torch.testing.assert_close(none.apply(IMAGES, none.draw(6, torch.Generator())), IMAGES)


def test_other_channels_take_the_ops_of_channels() -> None:
    recipe = Recipe().with_settings(channels=5, strength=0.5, grayscale_prob=0.3)
    assert recipe.views.colour == "channels"
    by_name = {op.name: op for op in build_policy(recipe.views)}
    assert by_name["channel-jitter"] == Op(name="channel-jitter", prob=0.8, range=(0.2, 0.05, 0.2))
    assert by_name["channel-drop"].prob == 0.3
    assert not {"jitter", "grayscale"} & set(by_name)
    assert Recipe().with_settings(bands=(4, 3, 2)).views.colour == "photos"
    assert Recipe().with_settings(bands=(4, 3)).data.channels == 2


def test_ops_of_photographs_refuse_other_channels() -> None:
    for views in (ViewsRecipe(), ViewsRecipe(ops=(Op(name="grayscale"),))):
        with pytest.raises(
            TwofoldError, match=r"needs 1 or 3 channels, but the images have 5\. Give --colour channels"
        ):
            require_policy(views, 5)
        require_policy(views, 3)
    require_policy(ViewsRecipe(colour="channels"), 5)


@pytest.mark.parametrize("c", [2, 5, 32])
def test_two_views_of_any_number_of_channels(c: int) -> None:
    images = (torch.rand(3, c, 30, 30) * 255).to(torch.uint8)
    made: Any = TwoViews(ViewsRecipe(colour="channels", size_px=16))(images)
    assert made.shape == (6, c, 16, 16)
    assert made.min() >= 0
    assert made.max() <= 1
