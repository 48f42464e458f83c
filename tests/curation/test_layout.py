"""On the map neighbours stay neighbours, better than at its start; clusters are found, with their typical images."""

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from twofold.curation import nearest_others
from twofold.curation.clusters import find_clusters
from twofold.curation.layout import lay_out

DRAW = np.random.default_rng(0)
GROUPS = np.arange(300) % 5
H = (DRAW.normal(size=(5, 32))[GROUPS] + 0.7 * DRAW.normal(size=(300, 32))).astype(np.float32)
NEAR = nearest_others(H, 15).rows


def kept(places: np.ndarray) -> float:
    """The trustworthiness of the map's neighbours, in [0, 1]."""
    return float(trustworthiness(H, places, n_neighbors=10, metric="cosine"))


def test_neighbours_stay_neighbours_better_than_at_the_start() -> None:
    places = lay_out(H, NEAR, epochs=100)
    assert places.shape == (300, 2)
    assert places.min() >= 0
    assert places.max() <= 1
    assert kept(places) > max(0.85, kept(lay_out(H, NEAR, epochs=0)) + 0.02)
    np.testing.assert_array_equal(places, lay_out(H, NEAR, epochs=100))


def test_a_map_of_other_neighbours_is_seen() -> None:
    assert kept(lay_out(H, DRAW.integers(0, 300, NEAR.shape), epochs=100)) < 0.8


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_images_have_places(count: int) -> None:
    h = H[:count]
    places = lay_out(h, nearest_others(h, 15).rows)
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()


def test_equal_images_have_places() -> None:
    h = np.ones((20, 4), np.float32)
    assert np.isfinite(lay_out(h, nearest_others(h, 5).rows, epochs=20)).all()


def test_clusters_keep_groups_apart_and_name_typical_images() -> None:
    clusters = find_clusters(H)
    sizes = np.bincount(clusters.ids)
    assert (np.diff(sizes) <= 0).all()
    pure = [np.bincount(GROUPS[clusters.ids == number]).max() for number in range(len(sizes))]
    assert sum(pure) / 300 > 0.9
    for number, rows in enumerate(clusters.typical):
        assert set(clusters.ids[rows]) == {number}
