"""Rotations against torchvision and numpy."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from twofold.views.ops.rotation import rotate, rotate_degrees


def random_images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_rotate_equals_torchvision_and_numpy():
    images = random_images(6, 3, 9, 9).float() / 255
    turns = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0, -1.0])
    rotated = rotate(images, turns)
    for i, k in enumerate([0, 1, 2, 3, 0, 3]):
        np.testing.assert_array_equal(rotated[i].numpy(), np.rot90(images[i].numpy(), k, axes=(1, 2)))
        torch.testing.assert_close(rotated[i], functional.rotate(images[i], 90.0 * k))


@pytest.mark.parametrize("side", [16, 17])
def test_rotate_degrees_equals_torchvision_on_a_mirrored_border(side: int) -> None:
    images, degrees = (
        random_images(8, 3, side, side).float() / 255,
        (0.0, 10.0, -33.3, 45.0, 90.0, 135.5, -180.0, 179.0),
    )
    ours = rotate_degrees(images, torch.tensor(degrees))
    for image, angle, turned in zip(images, degrees, ours, strict=True):
        padded = functional.pad(image, [side] * 4, padding_mode="symmetric")
        theirs = functional.rotate(padded, angle, interpolation=InterpolationMode.BILINEAR)
        torch.testing.assert_close(turned, functional.center_crop(theirs, [side, side]), atol=2e-5, rtol=0)


def test_quarter_turns_in_degrees_are_quarter_turns() -> None:
    images = random_images(5, 3, 12, 12).float() / 255
    quarters = torch.tensor([0.0, 1.0, 2.0, -1.0, -2.0])
    torch.testing.assert_close(rotate_degrees(images, 90 * quarters), rotate(images, quarters), atol=1e-5, rtol=0)


def test_a_turn_the_wrong_way_round_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = rotate_degrees
    monkeypatch.setitem(globals(), "rotate_degrees", lambda images, degrees: right(images, -degrees))
    with pytest.raises(AssertionError):
        test_rotate_degrees_equals_torchvision_on_a_mirrored_border(16)
