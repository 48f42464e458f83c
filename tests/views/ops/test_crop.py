"""Crop and flip against torchvision and Pillow."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from twofold.views.ops import crop as crop_module
from twofold.views.ops.crop import crop, resize_weights

# height and width of a canvas, box (top, left, height, width), size of the view: growing, shrinking, both, edges
CROPS = [
    (32, 32, (3, 5, 17, 20), 32),
    (32, 32, (0, 0, 32, 32), 32),
    (200, 150, (10, 20, 170, 130), 32),
    (100, 300, (40, 0, 9, 300), 48),
    (7, 5, (6, 4, 1, 1), 16),
    (64, 64, (0, 0, 64, 64), 61),
    (400, 30, (0, 1, 399, 28), 64),
]


def random_images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def torchvision_crop(images: Tensor, box: tuple[int, ...], size_px: int, interpolation: str) -> Tensor:
    mode = InterpolationMode(interpolation)
    pixels = images.float() / 255 if images.dtype == torch.uint8 else images
    return functional.resized_crop(pixels, *box, size=[size_px, size_px], interpolation=mode, antialias=True).clamp(
        0, 1
    )


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("height", "width", "box", "size_px"), CROPS)
def test_crop_equals_torchvision(height, width, box, size_px, interpolation):
    images = random_images(2, 3, height, width)
    ours = crop(images, torch.tensor([box] * 2), size_px=size_px, interpolation=interpolation)
    torch.testing.assert_close(ours, torchvision_crop(images, box, size_px, interpolation), atol=1e-5, rtol=0)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_each_image_has_its_own_box_and_flip(interpolation):
    images = random_images(6, 3, 50, 70).float() / 255
    boxes = torch.tensor([[i, 2 * i, 50 - 2 * i, 13 + 7 * i] for i in range(6)])
    flipped = torch.tensor([True, False, True, True, False, False])
    ours = crop(images, boxes, size_px=24, interpolation=interpolation, flipped=flipped)
    for i in range(6):
        expected = torchvision_crop(images[i : i + 1], tuple(boxes[i].tolist()), 24, interpolation)[0]
        expected = functional.horizontal_flip(expected) if flipped[i] else expected
        torch.testing.assert_close(ours[i], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_resize_is_pillows(interpolation):
    """A second oracle, which shares no code with PyTorch: float images of one channel."""
    picture = random_images(1, 1, 61, 83).float() / 255
    ours = crop(picture, torch.tensor([[0, 0, 61, 83]]), size_px=20, interpolation=interpolation)
    mode = Image.Resampling.BICUBIC if interpolation == "bicubic" else Image.Resampling.BILINEAR
    theirs = np.asarray(Image.fromarray(picture[0, 0].numpy()).resize((20, 20), mode)).clip(0, 1)
    np.testing.assert_allclose(ours[0, 0].numpy(), theirs, atol=1e-5)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_whole_picture_at_its_own_size_is_the_identity(interpolation):
    images = random_images(4, 3, 32, 32)
    ours = crop(images, torch.tensor([[0, 0, 32, 32]] * 4), size_px=32, interpolation=interpolation)
    assert torch.equal(ours, images / 255)


def test_a_constant_stays_constant_and_no_pixel_outside_the_box_is_read():
    images = torch.full((3, 3, 40, 40), float("nan"))
    boxes = torch.tensor([[5, 6, 20, 30]] * 3)
    images[:, :, 5:25, 6:36] = 0.25
    ours = crop(images, boxes, size_px=32, interpolation="bicubic")
    torch.testing.assert_close(ours, torch.full_like(ours, 0.25), atol=1e-6, rtol=0)


def test_bicubic_overshoot_is_clamped():
    images = torch.zeros(1, 1, 16, 16, dtype=torch.uint8)
    images[..., 8:] = 255
    weights = resize_weights(torch.tensor([0]), torch.tensor([16]), extent_px=16, size_px=64, interpolation="bicubic")
    assert (weights @ images[0, 0, 0].float()).amax() > 255
    ours = crop(images, torch.tensor([[0, 0, 16, 16]]), size_px=64, interpolation="bicubic")
    assert ours.amin() == 0
    assert ours.amax() == 1


def test_weights_of_every_pixel_sum_to_one_and_stay_inside_the_box():
    start, length = torch.tensor([0, 3, 9]), torch.tensor([10, 1, 30])
    weights = resize_weights(start, length, extent_px=40, size_px=12, interpolation="bicubic")
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(3, 12))
    for row in range(3):
        outside = torch.ones(40, dtype=torch.bool)
        outside[start[row] : start[row] + length[row]] = False
        assert weights[row][:, outside].abs().amax() == 0


def test_the_comparison_sees_a_wrong_kernel(monkeypatch):
    monkeypatch.setitem(crop_module._KERNELS, "bicubic", crop_module._KERNELS["bilinear"])
    with pytest.raises(AssertionError):
        test_crop_equals_torchvision(200, 150, (10, 20, 170, 130), 32, "bicubic")


@pytest.mark.parametrize("box", [(10, 20, 170, 130), (0, 0, 200, 190), (50, 60, 40, 55)])
def test_large_bilinear_views_are_pillows_to_a_255th(box: tuple[int, ...]) -> None:
    images = random_images(2, 3, 200, 190)
    flipped = torch.tensor([False, True])
    ours = crop(images, torch.tensor([box] * 2), size_px=112, interpolation="bilinear", flipped=flipped)
    top, left, height, width = box
    for row in range(2):
        picture = Image.fromarray(images[row].permute(1, 2, 0).numpy())
        cut = picture.crop((left, top, left + width, top + height))
        expected = torch.from_numpy(np.array(cut.resize((112, 112), Image.Resampling.BILINEAR))).permute(2, 0, 1)
        expected = expected.flip(2) if flipped[row] else expected
        torch.testing.assert_close(ours[row] * 255, expected.float(), atol=1.001, rtol=0)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("box", [(10, 20, 170, 130), (0, 0, 200, 190), (50, 60, 40, 55)])
def test_large_views_of_8_bit_pictures_differ_by_rounding_alone(box: tuple[int, ...], interpolation: str) -> None:
    images, boxes = random_images(2, 3, 200, 190), torch.tensor([box] * 2)
    in_8_bits = crop(images, boxes, size_px=112, interpolation=interpolation)
    exact = crop(images.float() / 255, boxes, size_px=112, interpolation=interpolation)
    torch.testing.assert_close(in_8_bits, exact, atol=1.01 / 255, rtol=0)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("height", "width", "box", "size_px"), [(200, 190, (3, 5, 150, 120), 112), *CROPS])
def test_one_by_one_is_all_at_once(height, width, box, size_px, interpolation, monkeypatch):
    images, boxes = random_images(3, 3, height, width).float() / 255, torch.tensor([box] * 3)
    flipped = torch.tensor([True, False, True])
    made = []
    for large in (1, 10_000):
        monkeypatch.setattr(crop_module, "LARGE_PX", large)
        made.append(crop(images, boxes, size_px=size_px, interpolation=interpolation, flipped=flipped))
    torch.testing.assert_close(*made, atol=1e-5, rtol=0)
