"""Two views of each image: a batch is a loop over its images, padding is never read, the result has no history."""

import importlib
import inspect
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as pillow_functional
from torchvision.transforms.v2 import functional

from twofold.errors import TwofoldError
from twofold.recipes.recipe import Op, ViewsRecipe
from twofold.views import (
    Draw,
    TwoViews,
    build_policy,
    center_view,
    one_view,
    sample_rows,
    sample_views,
    take_rows,
    two_views,
)
from twofold.views.boxes import crop_boxes

two_views_module = importlib.import_module("twofold.views.two_views")

EVERYTHING = (
    Op(name="crop", prob=0.8, range=(0.08, 1.0)),
    Op(name="flip", prob=0.5),
    Op(name="rotate", prob=0.5, range=(0.0, 3.0)),
    Op(name="jitter", prob=0.8, range=(0.8, 0.8, 0.8, 0.2)),
    Op(name="grayscale", prob=0.2),
    Op(name="solarise", prob=0.3, range=(0.2, 0.9)),
    Op(name="flip", prob=0.5),
    Op(name="blur", prob=0.5, range=(0.1, 2.0)),
    Op(name="noise", prob=0.5, range=(0.0, 0.1)),
    Op(name="sobel", prob=0.2),
    Op(name="cutout", prob=0.5, range=(0.05, 0.4)),
)


def batch(n: int, channels: int = 3) -> tuple[Tensor, Tensor]:
    """Images of different sizes on one canvas, zero beyond each image."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, channels, 40, 56), dtype=torch.uint8, generator=generator)
    sides = [torch.randint(1, most + 1, (n,), generator=generator) for most in (40, 56)]
    sizes = torch.stack(sides, dim=1)
    for image, (height, width) in zip(images, sizes.tolist(), strict=True):
        image[:, height:], image[:, :, width:] = 0, 0
    return images, sizes


def test_the_batch_of_these_tests_is_always_the_same():
    torch.manual_seed(1)
    first = batch(9)
    torch.manual_seed(2)
    assert all(map(torch.equal, first, batch(9)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("elements", [1, 20_000, 2**20])
def test_a_batch_is_a_loop_over_its_images(channels, elements, monkeypatch):
    """Also whatever the number of images handled at once."""
    images, sizes = batch(9, channels)
    draws = sample_views(EVERYTHING, 9, seed=0, step=0)
    monkeypatch.setattr(two_views_module, "_CACHED_ELEMENTS", elements)
    whole = two_views(images, sizes, draws, size_px=24, interpolation="bicubic")
    for i in range(9):
        row = slice(i, i + 1)
        alone = two_views(images[row], sizes[row], take_rows(draws, row), size_px=24, interpolation="bicubic")
        torch.testing.assert_close(whole[[i, 9 + i]], alone, atol=2e-5, rtol=0)


@pytest.mark.parametrize("policy", [EVERYTHING, (), (Op(name="flip", prob=0.5),), build_policy(ViewsRecipe())])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_views_are_contiguous_float32_in_the_unit_range(policy, interpolation):
    images, sizes = batch(8)
    draws = sample_views(policy, 8, seed=0, step=0)
    views = two_views(images, sizes, draws, size_px=16, interpolation=interpolation)
    assert views.shape == (16, 3, 16, 16)
    assert views.dtype == torch.float32
    assert views.is_contiguous()
    assert 0 <= views.amin() <= views.amax() <= 1


def test_padding_is_never_read():
    images, sizes = batch(12)
    draws = sample_views(EVERYTHING, 12, seed=0, step=0)
    expected = two_views(images, sizes, draws, size_px=16, interpolation="bicubic")
    for image, (height, width) in zip(images, sizes.tolist(), strict=True):
        image[:, height:], image[:, :, width:] = 255, 255
    assert torch.equal(two_views(images, sizes, draws, size_px=16, interpolation="bicubic"), expected)


def test_simclr_policy_equals_torchvision_op_by_op():
    images, sizes = batch(16)
    crop, flip, jitter, grayscale, blur = draws = sample_views(build_policy(ViewsRecipe()), 16, seed=0, step=0)
    ours = two_views(images, sizes, draws, size_px=30, interpolation="bicubic")
    boxes = crop_boxes(crop.values, sizes.repeat(2, 1)).tolist()
    adjust = (
        functional.adjust_brightness,
        functional.adjust_contrast,
        functional.adjust_saturation,
        functional.adjust_hue,
    )
    for row in range(32):
        view = images[row % 16].float() / 255
        view = functional.resized_crop(view, *boxes[row], size=[30, 30], interpolation=InterpolationMode.BICUBIC).clamp(
            0, 1
        )
        view = functional.horizontal_flip(view) if flip.active[row] else view
        for index in jitter.values[row, 4:].long().tolist() if jitter.active[row] else ():
            view = adjust[index](view, jitter.values[row, index].item())
        view = functional.rgb_to_grayscale(view, num_output_channels=3) if grayscale.active[row] else view
        view = functional.gaussian_blur(view, [3, 3], [blur.values[row, 0].item()] * 2) if blur.active[row] else view
        torch.testing.assert_close(ours[row], view, atol=5e-5, rtol=0)


def test_images_and_draws_are_left_as_they_were():
    images, sizes = batch(6)
    draws = sample_views(EVERYTHING, 6, seed=0, step=0)
    before = images.clone(), [(d.active.clone(), d.values.clone()) for d in draws]
    first = two_views(images, sizes, draws, size_px=16, interpolation="bicubic")
    assert torch.equal(images, before[0])
    for draw, (active, values) in zip(draws, before[1], strict=True):
        assert torch.equal(draw.active, active)
        assert torch.equal(draw.values, values)
    assert torch.equal(two_views(images, sizes, draws, size_px=16, interpolation="bicubic"), first)


@pytest.mark.parametrize(
    "context", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)]
)
def test_no_graph_and_no_loss_of_precision_in_any_context(context):
    images, sizes = batch(4)
    draws = sample_views(EVERYTHING, 4, seed=0, step=0)
    expected = two_views(images, sizes, draws, size_px=16, interpolation="bicubic")
    with context():
        assert torch.equal(two_views(images, sizes, draws, size_px=16, interpolation="bicubic"), expected)
        center = center_view(images, sizes, size_px=16, crop_fraction=0.875)
    assert torch.equal(center, center_view(images, sizes, size_px=16, crop_fraction=0.875))
    assert not expected.requires_grad


def test_without_a_crop_the_view_is_the_central_square():
    images, sizes = batch(8)
    views = two_views(images, sizes, (), size_px=16, interpolation="bicubic")
    center = center_view(images, sizes, size_px=16, crop_fraction=1.0)
    assert torch.equal(views, torch.cat([center, center]))


@pytest.mark.parametrize("size", [(40, 40), (300, 450), (33, 56), (500, 375)])
@pytest.mark.parametrize("fraction", [0.875, 1.0, 0.5])
def test_center_view_equals_torchvisions_center_crop_and_resize(size, fraction):
    images = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    ours = center_view(images, torch.tensor([size] * 2), size_px=32, crop_fraction=fraction)
    square = functional.center_crop(images.float() / 255, [round(min(size) * fraction)] * 2)
    expected = functional.resize(square, [32, 32], interpolation=InterpolationMode.BICUBIC, antialias=True).clamp(0, 1)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_center_view_is_near_pillows():
    """Pillow works in whole grey levels: its rounding, twice, is all that separates the two."""
    pixels = torch.randint(0, 256, (1, 3, 90, 120), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    picture = Image.fromarray(pixels[0].permute(1, 2, 0).numpy())
    theirs = pillow_functional.to_tensor(
        pillow_functional.resize(pillow_functional.center_crop(picture, [90, 90]), [32, 32], InterpolationMode.BICUBIC)
    )
    ours = center_view(pixels, torch.tensor([[90, 120]]), size_px=32, crop_fraction=1.0)
    torch.testing.assert_close(ours[0], theirs, atol=1.5 / 255, rtol=0)


def test_center_view_is_the_identity_at_its_own_size():
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    ours = center_view(images, torch.tensor([[32, 32]] * 3), size_px=32, crop_fraction=1.0)
    assert torch.equal(ours, images / 255)


def test_large_views_one_by_one_are_those_made_in_batches(monkeypatch):
    images, sizes = batch(6)
    draws = sample_views(EVERYTHING, 6, seed=3, step=1)
    alone = two_views(images, sizes, draws, size_px=96, interpolation="bicubic")
    monkeypatch.setattr(two_views_module.crop, "LARGE_PX", 10_000)
    together = two_views(images, sizes, draws, size_px=96, interpolation="bicubic")
    assert (alone - together).abs().max() < 1e-4
    assert (
        alone
        - two_views(images, sizes, sample_views(EVERYTHING, 6, seed=3, step=2), size_px=96, interpolation="bicubic")
    ).abs().max() > 0.1  # the draws matter


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("elements", [1, 2**20])
def test_two_views_are_one_view_of_each_half(channels, elements, monkeypatch):
    images, sizes = batch(4, channels)
    draws = sample_views(EVERYTHING, 4, seed=0, step=0)
    monkeypatch.setattr(two_views_module, "_CACHED_ELEMENTS", elements)
    both = two_views(images, sizes, draws, size_px=16, interpolation="bicubic")
    for half in (slice(0, 4), slice(4, 8)):
        mine = [Draw(draw.op, draw.active[half], draw.values[half]) for draw in draws]
        alone = one_view(images, sizes, mine, size_px=16, interpolation="bicubic")
        assert torch.equal(alone, both[half])
        assert not alone.requires_grad


@pytest.mark.parametrize("count", [0, 1, 7])
def test_views_are_drawn_as_rows_are_two_for_an_image(count):
    pairs = sample_views(EVERYTHING, count, seed=3, step=4)
    rows = sample_rows(EVERYTHING, 2 * count, seed=3, step=4)
    assert [draw.op for draw in pairs] == [draw.op for draw in rows] == list(EVERYTHING)
    for first, second in zip(pairs, rows, strict=True):
        assert first.active.shape == (2 * count,)
        assert torch.equal(first.active, second.active)
        assert torch.equal(first.values, second.values)


def test_rows_are_a_function_of_seed_and_step():
    first, again, *others = (
        sample_rows(EVERYTHING, 6, seed=seed, step=step)[0].values for seed, step in ((0, 0), (0, 0), (1, 0), (0, 1))
    )
    assert torch.equal(first, again)
    assert not any(torch.equal(first, other) for other in others)


def test_one_view_has_a_row_of_draws_for_each_image():
    images, sizes = batch(5)
    draws = sample_rows(build_policy(ViewsRecipe()), 5, seed=0, step=0)
    views = one_view(images, sizes, draws, size_px=16, interpolation="bicubic")
    assert views.shape == (5, 3, 16, 16)
    assert 0 <= views.amin() <= views.amax() <= 1
    assert torch.equal(views, one_view(images, sizes, draws, size_px=16, interpolation="bicubic"))


# On plain tensors.


def plain_images(channels: int = 3) -> Tensor:
    return torch.randint(0, 256, (4, channels, 20, 30), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size_px", [16, 96])
def test_views_of_plain_tensors_are_those_of_a_run(channels: int, size_px: int) -> None:
    images, recipe = plain_images(channels), ViewsRecipe(size_px=size_px, strength=0.5)
    made = TwoViews(recipe, seed=3)
    for step in range(2):
        draws = sample_views(build_policy(recipe), 4, seed=3, step=step)
        sizes = torch.tensor([[20, 30]] * 4)
        assert torch.equal(made(images), two_views(images, sizes, draws, size_px=size_px, interpolation="bicubic"))
    made.step = 0
    assert torch.equal(made(images), TwoViews(recipe, seed=3)(images))
    assert not torch.equal(made(images), TwoViews(recipe, seed=4)(images))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_float_images_are_those_of_8_bits(dtype: torch.dtype) -> None:
    images = plain_images()
    one, other = (TwoViews("small", size_px=16)(x) for x in (images, images.to(dtype) / 255))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_images_on_a_canvas_are_read_no_further_than_they_reach() -> None:
    images, sizes = batch(6)
    expected = TwoViews("small", size_px=16)(images, sizes)
    for image, (height, width) in zip(images, sizes.tolist(), strict=True):
        image[:, height:], image[:, :, width:] = 255, 255
    assert torch.equal(TwoViews("small", size_px=16)(images, sizes), expected)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(3, 8, 8), r"of the shape \(3, 8, 8\), but it must be \(n, c, H, W\)"),
        (torch.zeros(2, 33, 8, 8), "1 to 32 channels"),
        (torch.zeros(0, 3, 8, 8), "of the shape"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.int64), "torch.int64.*uint8 or float"),
        (torch.full((2, 3, 8, 8), 255.0), r"from 255 to 255, .* in \[0, 1\]"),
        (torch.full((2, 3, 8, 8), float("nan")), "from nan to nan"),
        ([torch.zeros(3, 8, 8)], r"of the type list, but it must be a tensor \(n, c, H, W\)"),
    ],
)
def test_other_images_are_one_clear_error(images: Any, words: str) -> None:
    with pytest.raises(TwofoldError, match=f"^images .*{words}"):
        inspect.unwrap(TwoViews.__call__)(TwoViews(size_px=16), images)  # types are not checked outside of the tests


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ([(20, 30)] * 4, r"of the type list, but it must be a tensor \(4, 2\)"),
        (torch.tensor([[20.0, 30.0]] * 4), "of int64"),
        (torch.tensor([[20, 30]] * 3), r"a tensor \(4, 2\) of int64"),
        (torch.tensor([[20, 31]] * 4), r"holds \[20, 31\] to \[20, 31\], .* a canvas of 20 x 30 pixels"),
        (torch.tensor([[20, 30], [0, 30], [20, 30], [20, 30]]), r"holds \[0, 30\] to \[20, 30\]"),
    ],
)
def test_other_sizes_are_one_clear_error(sizes: Any, words: str) -> None:
    with pytest.raises(TwofoldError, match=f"^sizes .*{words}"):
        inspect.unwrap(TwoViews.__call__)(TwoViews(size_px=16), plain_images(), sizes)


def test_a_policy_that_cannot_be_is_one_clear_error() -> None:
    with pytest.raises(TwofoldError, match="did you mean 'small'"):
        TwoViews("smal")
    with pytest.raises(TwofoldError, match="policy is None"):
        inspect.unwrap(TwoViews.__init__)(TwoViews.__new__(TwoViews), None)  # type: ignore[arg-type]
    with pytest.raises(TwofoldError, match="did you mean 'flip'"):
        TwoViews(("crop", "flipp"))
    with pytest.raises(TwofoldError, match="crop at position 2"):
        TwoViews(("flip", "crop"))
