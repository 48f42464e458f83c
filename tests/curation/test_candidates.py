"""The pairs to compare hold every planted copy, also where very many images have an outline like that of a copy."""

import numpy as np
import pytest
import torch

from scenes import scene, scene_thumbs, thumbs
from twofold.curation import candidates as module
from twofold.curation.candidates import candidates, outlines
from twofold.curation.nearest import nearest_others

WHOLE = (0.0, 0.0, 1.0)
CORNERS = [
    (slice(0, 43), slice(0, 58)),
    (slice(5, 48), slice(0, 58)),
    (slice(0, 43), slice(6, 64)),
    (slice(5, 48), slice(6, 64)),
]


def crowd(count: int) -> np.ndarray:
    """Images that differ in details alone, so that their outlines are alike, and a crop of each of the first 20."""
    draw, ground = np.random.default_rng(0), scene(0).astype(np.float32)
    images = [(0.8 * ground + 0.2 * scene(1 + row)).astype(np.uint8) for row in range(count)]
    crops = [image[CORNERS[row % 4]][:, :: (1, -1)[row % 2]] for row, image in enumerate(images[:20])]
    return thumbs(images + crops) + draw.integers(0, 2, (count + 20, 32, 32, 3)).astype(np.uint8)


def found(pairs: np.ndarray, count: int) -> float:
    """Share of the 20 crops whose image is among the pairs."""
    known = {tuple(pair) for pair in pairs.tolist()}
    return float(np.mean([(row, count + row) in known for row in range(20)]))


def test_crops_are_among_the_pairs_where_all_outlines_are_alike() -> None:
    assert found(candidates(crowd(300)), 300) >= 0.95


def test_without_looking_from_crops_they_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CROPS", [WHOLE])
    assert found(candidates(crowd(300)), 300) < 0.7


def test_among_many_images_the_nearest_cells_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = candidates(scene_thumbs(60))
    monkeypatch.setattr(module, "_EXACT_UP_TO", 10)
    monkeypatch.setattr(module, "nearest_rows", None)
    np.testing.assert_array_equal(candidates(scene_thumbs(60)), expected)


def test_a_pair_is_there_once_with_the_lower_row_first(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = candidates(crowd(60))
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    monkeypatch.setattr(module, "_FEW_PAIRS", 0)
    monkeypatch.setattr(module, "_PAIRS", 1)
    fewer = candidates(crowd(60))
    assert len(fewer) == 80, "as many as images"
    assert {tuple(pair) for pair in fewer.tolist()} < {tuple(pair) for pair in pairs.tolist()}


def test_a_crowd_leaves_pairs_to_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """60 images that are all alike, and a scene with its crop, whose outlines are less near."""
    rest = thumbs([scene(99), scene(99)[3:43, 4:58]])
    some = np.concatenate([crowd(60), rest])
    monkeypatch.setattr(module, "_FEW_PAIRS", 0)
    monkeypatch.setattr(module, "_PAIRS", 4)
    assert [80, 81] in candidates(some).tolist()
    monkeypatch.setattr(module, "_pairs", by_cosine_alone)
    assert [80, 81] not in candidates(some).tolist()


def by_cosine_alone(rows: np.ndarray, cosines: np.ndarray) -> module.Pairs:
    pairs = np.stack([np.repeat(np.arange(len(rows)), rows.shape[1]), rows.ravel()], 1)
    kept = (pairs[:, 0] < pairs[:, 1]) & (cosines.ravel() >= 0.8)
    return pairs[kept], -cosines.ravel()[kept]


def test_what_the_encoder_takes_for_alike_is_compared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_NEAREST", 2)
    some, draw = crowd(60), np.random.default_rng(0)
    h = draw.normal(size=(80, 8)).astype(np.float32)
    h[59] = h[40]
    assert [40, 59] not in candidates(some).tolist()
    assert [40, 59] in candidates(some, nearest_others(h, 3)).tolist()


def test_an_outline_is_that_of_the_mirror_image_and_of_length_one() -> None:
    some = scene_thumbs(10)
    own, mirrored = outlines(some, WHOLE), outlines(some[:, :, ::-1], WHOLE)
    torch.testing.assert_close(own, mirrored, atol=1e-5, rtol=0)
    torch.testing.assert_close(own.norm(dim=1), torch.ones(10))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_blank_and_few_images_give_no_pairs(count: int) -> None:
    assert candidates(np.full((count, 32, 32, 3), 7, np.uint8)).shape == (0, 2)
