"""The likeness of pixels: near 1 for copies, wherever they were cropped and whatever JPEG did to their colour."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from scenes import scene, scene_thumbs, thumbs
from twofold.curation import likeness as module
from twofold.curation.crops import averages, colours
from twofold.curation.likeness import likeness

SCENES = [scene(seed) for seed in range(24)]


def with_copies(change: Callable[[np.ndarray, int], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The scenes and a changed copy of each, and the pairs of these."""
    some = thumbs(SCENES + [change(image, seed) for seed, image in enumerate(SCENES)])
    return some, np.stack([np.arange(24), 24 + np.arange(24)], 1)


def cropped(image: np.ndarray, seed: int) -> np.ndarray:
    """90 % of each side, anywhere; half of them mirrored."""
    top, left = np.random.default_rng(seed).integers(0, (6, 7))
    return image[top : top + 43, left : left + 58][:, :: (1, -1)[seed % 2]]


def coarse_colour(image: np.ndarray, seed: int) -> np.ndarray:
    """The colour of 5 x 5 pixels each, as strong JPEG leaves it; the luminance as it was."""
    y, *chroma = Image.fromarray(image).convert("YCbCr").split()
    few = [one.resize((12, 9), Image.BOX).resize((64, 48), Image.BILINEAR) for one in chroma]
    return np.asarray(Image.merge("YCbCr", [y, *few]).convert("RGB"))


def test_a_crop_is_as_like_as_a_copy_wherever_it_lies() -> None:
    some, pairs = with_copies(cropped)
    assert likeness(some, pairs).min() > 0.99


def test_without_moving_the_edges_crops_are_less_like(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STEPS", (0.0,))
    some, pairs = with_copies(cropped)
    assert likeness(some, pairs).min() < 0.93


def test_what_jpeg_does_to_colour_counts_little(monkeypatch: pytest.MonkeyPatch) -> None:
    some, pairs = with_copies(coarse_colour)
    assert likeness(some, pairs).min() > 0.93
    monkeypatch.setattr("twofold.curation.crops._CHROMA", 1.0)
    assert likeness(some, pairs).min() < 0.9, "with colour as heavy as luminance"


def test_other_scenes_are_not_alike() -> None:
    draw = np.random.default_rng(0)
    pairs = np.array([draw.choice(24, 2, replace=False) for _ in range(200)])
    assert likeness(scene_thumbs(24), pairs).max() < 0.8


def test_the_order_of_a_pair_and_of_the_pairs_does_not_matter() -> None:
    some, pairs = with_copies(cropped)
    pairs = np.concatenate([pairs, np.stack([np.arange(23), 1 + np.arange(23)], 1)])
    own, order = likeness(some, pairs), np.random.default_rng(0).permutation(len(pairs))
    np.testing.assert_allclose(likeness(some, pairs[:, ::-1].copy()), own, atol=1e-4)
    np.testing.assert_allclose(likeness(some, pairs[order]), own[order], atol=1e-5)


def test_no_pairs_have_no_likeness() -> None:
    assert likeness(scene_thumbs(2), np.zeros((0, 2), np.int64)).shape == (0,)


def test_averages_are_those_of_the_pixels_between_the_edges() -> None:
    """By repeating each pixel ten times: edges at tenths of a pixel are then edges of pixels."""
    x = torch.rand(32)
    a = averages(torch.tensor([0.1, 0.9]), 32, 16)  # 3.2 to 28.8 px: 16 parts of 1.6
    expected = x.repeat_interleave(10)[32:288].view(16, 16).mean(1)
    torch.testing.assert_close(a @ x, expected)


def test_grey_has_no_chroma_and_its_own_luminance() -> None:
    grey = np.full((1, 4, 4, 3), 100, np.uint8)
    torch.testing.assert_close(colours(grey)[0, :, 0, 0], torch.tensor([100.0, 0.0, 0.0]), atol=1e-4, rtol=0)
