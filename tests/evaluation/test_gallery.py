import dataclasses

import numpy as np
import pytest
from torch import nn

from twofold.errors import TwofoldError
from twofold.evaluation import build_gallery, embed_images
from twofold.recipes.recipe import ViewsRecipe


@pytest.fixture
def build(flat, views, machine, tmp_path):
    def run(images, **settings):
        out = tmp_path / "gallery.npz"
        options = {"encoder": flat, "views": views, **settings}
        build_gallery(options.pop("encoder"), images, hardware=machine, out=out, **options)
        with np.load(out, allow_pickle=False) as arrays:
            return dict(arrays)

    return run


def test_the_arrays_fit_together(separable, build):
    found = build(separable)
    assert str(found["split"]) == "test"
    assert [int(found[name]) for name in ("searched", "images", "split_images")] == [90, 90, 30]
    count = len(found["paths"])
    assert found["thumbs"].shape == (count, 8, 8, 3)
    assert found["thumbs"].dtype == np.uint8
    assert found["xy"].shape == (30, 2)
    assert found["xy"].dtype == np.float32
    assert np.isfinite(found["xy"]).all()
    assert found["queries"].shape == (12,)
    assert found["neighbours"].shape == (12, 8)
    rows = [separable.paths.index(path) for path in found["paths"]]
    assert sorted(rows[:30]) == separable.rows("test").tolist()
    assert set(range(30, count)) <= set(found["neighbours"].ravel().tolist())  # none is there for nothing
    assert found["labels"].tolist() == [separable.labels[row] for row in rows]
    np.testing.assert_array_equal(found["thumbs"][..., 0], separable.read(np.array(rows)).images[:, 0])


def cosines(images, flat, views, machine):
    h = embed_images(flat, images, np.arange(len(images)), views=views, hardware=machine).astype(np.float64)
    h /= np.linalg.norm(h, axis=1, keepdims=True)
    return h @ h.T


@pytest.mark.parametrize("limit", [12, 1500])
def test_neighbours_are_the_nearest_of_all_images_without_the_query(separable, build, flat, views, machine, limit):
    found, likeness = build(separable, limit=limit), cosines(separable, flat, views, machine)
    rows = [separable.paths.index(path) for path in found["paths"]]
    for query, nearest in zip(found["queries"], found["neighbours"], strict=True):
        order = [int(row) for row in np.argsort(-likeness[rows[query]], kind="stable") if row != rows[query]]
        assert [rows[place] for place in nearest] == order[:8]


@pytest.mark.parametrize("most", [0, 20, 40])
def test_of_more_images_than_are_embedded_neighbours_come_from_a_sample(
    separable, build, flat, views, machine, most, monkeypatch
):
    embedded = []

    def spy(encoder, images, rows, **given):
        embedded.extend(rows.tolist())
        return embed_images(encoder, images, rows, **given)

    monkeypatch.setattr("twofold.evaluation.gallery.embed_images", spy)
    found, likeness = build(separable, limit=20, most=most), cosines(separable, flat, views, machine)
    rows = [separable.paths.index(path) for path in found["paths"]]
    assert int(found["searched"]) == len(set(embedded)) == max(20, most)
    assert set(rows) <= set(embedded)
    for query, nearest in zip(found["queries"], found["neighbours"], strict=True):
        order = sorted(set(embedded) - {rows[query]}, key=lambda row: -likeness[rows[query], row])
        assert [rows[place] for place in nearest] == order[:8]


def test_a_copy_of_the_query_stays_among_its_neighbours(make_images, build):
    pictures = np.repeat(np.random.default_rng(0).integers(0, 256, (10, 1, 8, 8)), 2, axis=0).astype(np.uint8)
    found = build(make_images(pictures, [None] * 20, ["train"] * 20))
    assert all(nearest[0] == query ^ 1 for query, nearest in zip(found["queries"], found["neighbours"], strict=True))


def test_the_map_keeps_classes_together(separable, build):
    found = build(separable)
    away = np.linalg.norm(found["xy"][:, None] - found["xy"][None], axis=-1) + 1e9 * np.eye(30)
    assert (found["labels"][away.argmin(1)] == found["labels"][:30]).mean() > 0.9


def test_a_sample_of_at_most_the_limit_is_the_same_each_time(separable, build):
    first, second = build(separable, limit=14), build(separable, limit=14)
    assert len(first["xy"]) == 14
    assert all((first[name] == second[name]).all() for name in first)


def test_without_a_test_split_train_is_shown_and_unknown_labels_are_empty(separable, build):
    bare = dataclasses.replace(separable, splits=["train"] * 90, labels=[None] * 90)
    found = build(bare)
    assert str(found["split"]) == "train"
    assert set(found["labels"].tolist()) == {""}


@pytest.mark.parametrize("count", [1, 2, 3, 9, 10, 11])
def test_few_pictures_are_handled(make_images, build, count):
    pictures = np.random.default_rng(0).integers(0, 256, (count, 1, 8, 8)).astype(np.uint8)
    found = build(make_images(pictures, [None] * count, ["train"] * count))
    assert found["xy"].shape == (count, 2)
    assert np.isfinite(found["xy"]).all()
    assert found["neighbours"].shape == (min(12, count), min(8, count - 1))


def test_a_collapsed_encoder_still_has_a_gallery(make_images, build):
    images = make_images(np.full((40, 1, 8, 8), 9, np.uint8), [None] * 40, ["train"] * 40)
    assert np.isfinite(build(images)["xy"]).all()


def test_thumbs_are_at_most_64_px_and_colour_stays(make_images, build):
    pictures = np.zeros((12, 3, 100, 100), np.uint8)
    pictures[:, 1] = np.arange(12)[:, None, None] * 20
    images = make_images(pictures, [None] * 12, ["train"] * 12)
    found = build(images, encoder=nn.Flatten(), views=ViewsRecipe(size_px=96))
    assert found["thumbs"].shape == (12, 64, 64, 3)
    assert (found["thumbs"][3] == [0, 60, 0]).all()


def test_a_diverged_encoder_is_refused_and_leaves_no_file(separable, build, flat, tmp_path):
    nn.init.constant_(flat.norm.weight, float("nan"))
    with pytest.raises(TwofoldError, match="not finite"):
        build(separable)
    assert not (tmp_path / "gallery.npz").exists()
