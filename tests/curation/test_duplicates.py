"""Copies are found whatever was done to them, other images are not; thresholds and groups follow from the pairs."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenes import scene, thumbs
from twofold.curation import duplicates, find_alike, find_copies, nearest_others
from twofold.curation.likeness import likeness
from twofold.errors import TwofoldError


def jpeg(a: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(a).save(stream, "JPEG", quality=60)
    return np.asarray(Image.open(stream))


def half(a: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(np.ascontiguousarray(a)).resize((32, 24), Image.BICUBIC))


CHANGES = {
    "the same": lambda a: a,
    "saved anew": jpeg,
    "half": lambda a: half(a),
    "mirrored": lambda a: a[:, ::-1],
    "cropped": lambda a: a[2:46, 5:63],
    "cropped, mirrored and resized": lambda a: half(a[0:44, 3:61][:, ::-1]),
}
SCENES = [scene(seed) for seed in range(40)]


@pytest.fixture(scope="module")
def planted() -> np.ndarray:
    """40 scenes, then a changed copy of each of the first 24, four of each kind."""
    return thumbs(SCENES + [list(CHANGES.values())[i % 6](SCENES[i]) for i in range(24)])


def test_planted_copies_are_found_and_nothing_else(planted: np.ndarray) -> None:
    found = find_copies(planted, [str(row) for row in range(64)])
    kept = found.pairs[found.likeness >= found.threshold].tolist()
    truth = [[i, 40 + i] for i in range(24)]
    hits = [pair for pair in kept if pair in truth]
    assert len(hits) / len(truth) >= 0.95, "recall"
    assert len(hits) / len(kept) >= 0.95, "precision"
    assert found.groups == sorted(hits)
    assert found.extra() == sorted(second for _, second in hits)


def test_without_mirroring_the_mirrored_are_missed(planted: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = duplicates.likeness
    mirrored = [[i, 40 + i] for i in range(3, 24, 6)]
    assert min(whole(planted, np.array(mirrored))) > 0.99
    monkeypatch.setattr("torch.Tensor.flip", lambda x, *_: x)
    assert max(likeness(planted, np.array(mirrored))) < 0.9


def test_likeness_is_symmetric_and_one_for_the_same_pixels(planted: np.ndarray) -> None:
    pairs = np.array([[0, 0], [0, 40], [1, 41], [4, 44], [3, 7]])
    a, b = likeness(planted, pairs), likeness(planted, pairs[:, ::-1].copy())
    np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_allclose(a[:2], 1, atol=1e-5)
    assert a[-1] < 0.6


def test_blank_images_are_no_copies_of_each_other() -> None:
    blank = np.stack([np.full((32, 32, 3), value, np.uint8) for value in (0, 0, 200)])
    assert find_copies(blank, ["a", "b", "c"]).groups == []


def test_groups_follow_the_threshold_and_borderline_pairs_lie_around_it(tmp_path: Path) -> None:
    h = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1]], np.float32)
    found = find_alike(nearest_others(h, 3), list("abcd"), threshold=0.99)
    assert found.groups == [[0, 1, 2]]
    assert found.rethreshold(0.9951).groups == [[1, 2]]
    assert found.rethreshold(1.0).groups == []
    assert [pair[:2] for pair in found.rethreshold(0.982).borderline(1)] == [(0, 2)]
    table = found.to_csv(tmp_path / "groups.csv").read_text()
    assert table == "group,path\n1,a\n1,b\n1,c\n"
    with pytest.raises(TwofoldError, match=r"threshold is 0\.4"):
        found.rethreshold(0.4)


@pytest.mark.parametrize("count", [0, 1])
def test_few_images_have_no_copies(count: int) -> None:
    found = find_copies(thumbs(SCENES[:1])[:count], ["a"][:count])
    assert (found.groups, found.borderline()) == ([], [])


def near_pairs(spread: float) -> np.ndarray:
    """40 embeddings around one direction, as a weak encoder gives them; the last is nearly the first."""
    draw = np.random.default_rng(0)
    h = 1 + spread * draw.normal(size=(40, 16))
    h[39] = h[0] + 0.02 * spread * draw.normal(size=16)
    return h.astype(np.float32)


@pytest.mark.parametrize("spread", [0.05, 0.2, 1.0])
def test_what_is_near_for_an_encoder_follows_from_how_near_its_images_are(spread: float) -> None:
    near = nearest_others(near_pairs(spread), 10)
    found = find_alike(near, [str(row) for row in range(40)])
    assert found.groups == [[0, 39]]
    assert found.threshold == pytest.approx(1 - np.median(1 - near.cosines[:, 0]) / 5)


def test_one_threshold_for_every_encoder_takes_all_images_for_the_same() -> None:
    found = find_alike(nearest_others(near_pairs(0.05), 10), [str(row) for row in range(40)], threshold=0.98)
    assert len(found.groups[0]) == 40


@pytest.mark.parametrize("n", [0, 1])
def test_without_a_pair_nothing_is_alike(n: int) -> None:
    assert find_alike(nearest_others(np.ones((n, 4), np.float32), 10), ["a.png"] * n).groups == []
