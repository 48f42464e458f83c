"""Blur, Sobel, noise and cutout against torchvision, SciPy and plain loops."""

import numpy as np
import torch
from PIL import Image, ImageFilter
from scipy import ndimage, stats
from torch import Tensor
from torchvision.transforms.v2 import functional

from twofold.views.ops.filters import cutout, noise, normal_field, sobel


def random_images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_sobel_equals_scipy():
    images = random_images(2, 3, 12, 17)
    ours = sobel(images)
    for row in range(2):
        for channel in range(3):
            plane = images[row, channel].double().numpy()
            gx, gy = (ndimage.sobel(plane, axis=axis, mode="mirror") / 4 for axis in (1, 0))
            expected = np.sqrt((gx**2 + gy**2) / 2)
            np.testing.assert_allclose(ours[row, channel].numpy(), expected, atol=1e-6)
    assert sobel(torch.full((1, 1, 8, 8), 0.3)).abs().amax() == 0


def test_sobel_is_pillows_to_its_rounding():
    """Pillow's kernels give whole grey levels: g / 8 + 128, so that one level is 8 / 4 / 255 here."""
    pixels = torch.randint(64, 192, (12, 17), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    kernel = (-1, 0, 1, -2, 0, 2, -1, 0, 1)
    turned = tuple(kernel[3 * column + row] for row in range(3) for column in range(3))
    picture = Image.fromarray(pixels.numpy())
    gx, gy = (
        (np.asarray(picture.filter(ImageFilter.Kernel((3, 3), k, scale=8, offset=128))).astype(float) - 128) * 2
        for k in (kernel, turned)
    )
    expected = np.sqrt((gx**2 + gy**2) / 2) / 255
    ours = sobel(pixels[None, None] / 255)[0, 0].numpy()
    np.testing.assert_allclose(ours[1:-1, 1:-1], expected[1:-1, 1:-1], atol=2 / 255)


def test_noise_has_the_law_of_torchvisions():
    images = random_images(1, 3, 200, 200) * 0.5 + 0.25
    ours = noise(images, torch.tensor([0.1]), torch.tensor([4.0]))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = functional.gaussian_noise(images, sigma=0.1)
    assert stats.ks_2samp((ours - images).flatten().numpy(), (theirs - images).flatten().numpy()).pvalue > 1e-3


def test_noise_is_normal():
    field = normal_field(torch.tensor([5.0]), 200_000)[0].double().numpy()
    assert stats.kstest(field, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(field[:-1], field[1:])[0, 1]) < 0.01


def test_noise_fields_of_neighbouring_seeds_are_unrelated():
    fields = normal_field(torch.arange(20.0), 20_000).double()
    correlation = torch.corrcoef(fields) - torch.eye(20)
    assert correlation.abs().amax() < 0.04  # 5.6 standard deviations
    assert stats.kstest(normal_field(torch.arange(50_000.0), 1)[:, 0].numpy(), "norm").pvalue > 1e-3


def test_noise_of_a_batch_is_noise_of_each_image_and_a_function_of_the_seed():
    images = random_images(3, 3, 8, 8)
    sigma, seed = torch.tensor([0.0, 0.1, 0.5]), torch.tensor([1.0, 2.0**24 - 1, 3.0])
    ours = noise(images, sigma, seed)
    assert torch.equal(ours[0], images[0])
    for row in range(3):
        assert torch.equal(ours[row], noise(images[row : row + 1], sigma[row : row + 1], seed[row : row + 1])[0])
        field = normal_field(seed[row : row + 1], 192).view(3, 8, 8)
        torch.testing.assert_close(ours[row], (images[row] + sigma[row] * field).clamp(0, 1), atol=1e-6, rtol=0)


def test_noise_on_mid_grey_has_the_sigma_that_was_asked_for():
    """Seen from outside: what is added has mean 0 and deviation sigma, and two seeds add unrelated things."""
    grey = torch.full((4, 3, 128, 128), 0.5)
    sigma = torch.tensor([0.02, 0.1, 0.1, 0.05])
    added = (noise(grey, sigma, torch.tensor([0.0, 7.0, 8.0, 2.0**24 - 1])) - grey).double().flatten(1)
    error = sigma.double() / added.shape[1] ** 0.5
    assert (added.mean(dim=1).abs() < 5 * error).all()
    torch.testing.assert_close(added.std(dim=1), sigma.double(), atol=0, rtol=0.02)  # 6 standard errors
    correlation = torch.corrcoef(added) - torch.eye(4)
    assert correlation.abs().amax() < 5 / added.shape[1] ** 0.5


def test_cutout_equals_torchvisions_erase():
    images = random_images(3, 3, 12, 20) + 0.01
    area, position = torch.tensor([0.05, 0.3, 0.6]), torch.tensor([[0.0, 0.0], [0.5, 0.25], [0.99, 0.99]])
    corners = [(0, 0, 3), (2, 3, 8), (0, 8, 12)]  # top, left, side: round(sqrt(area * 240)), at most the height of 12
    for row, (top, left, side) in enumerate(corners):
        expected = functional.erase(images[row], top, left, side, side, torch.zeros(3, 1, 1))
        assert torch.equal(cutout(images, area, position)[row], expected)


def test_cutout_of_no_area_is_the_identity():
    images = random_images(2, 3, 9, 9)
    assert torch.equal(cutout(images, torch.zeros(2), torch.tensor([[0.0, 0.0], [0.99, 0.5]])), images)


def test_cutout_equals_a_loop():
    images = random_images(60, 2, 10, 10) + 0.01
    draws = torch.rand(60, 3, generator=torch.Generator().manual_seed(2))
    area, position = draws[:, 0] * 0.9 + 0.1, draws[:, 1:]
    area[0], position[1] = 1.0, torch.tensor([0.999, 0.0])
    ours = cutout(images, area, position)
    for row in range(60):
        side = round(float((area[row] * 100).sqrt()))
        top, left = (int(p * (10 - side + 1)) for p in position[row].tolist())
        expected = images[row].clone()
        expected[:, top : top + side, left : left + side] = 0
        assert torch.equal(ours[row], expected)
        assert (ours[row, 0] == 0).sum() == side**2
