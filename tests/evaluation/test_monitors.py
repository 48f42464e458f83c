import dataclasses

import numpy as np
import pytest
from torch import nn

from twofold.data.pixels import Pixels
from twofold.errors import NotFiniteError
from twofold.evaluation import build_knn_monitor, monitors
from twofold.recipes.recipe import Recipe


@pytest.fixture
def recipe(views):
    return Recipe(views=views)


@pytest.fixture
def read(monkeypatch):
    """Every row whose pixels are read."""
    seen: set[int] = set()
    real = Pixels.read

    def watched(self, rows, **options):
        seen.update(rows.tolist())
        return real(self, rows, **options)

    monkeypatch.setattr(Pixels, "read", watched)
    return seen


def test_separable_pictures_find_their_class(separable, flat, recipe, machine):
    monitor = build_knn_monitor(separable, recipe, machine)
    assert monitor(flat, 7) == {"knn_top1": 1.0}


def test_test_pictures_are_never_read(separable, flat, recipe, machine, read):
    build_knn_monitor(separable, recipe, machine)(flat, 0)
    assert read
    assert read <= set(separable.rows("train").tolist())


def test_the_pictures_are_at_most_so_many_and_no_query_is_in_the_bank(separable, flat, recipe, machine, monkeypatch):
    parts = []
    monkeypatch.setattr(monitors, "BANK", 20)
    monkeypatch.setattr(monitors, "QUERIES", 4)
    real = monitors.embed_images

    def watched(encoder, images, rows, **options):
        parts.append(rows)
        return real(encoder, images, rows, **options)

    monkeypatch.setattr(monitors, "embed_images", watched)
    build_knn_monitor(separable, recipe, machine)(flat, 0)
    bank, queries = parts
    assert (len(bank), len(queries)) == (20, 4)
    assert not set(bank.tolist()) & set(queries.tolist())


def test_looking_leaves_the_encoder_as_it_was(separable, flat, recipe, machine):
    before = {name: tensor.clone() for name, tensor in flat.state_dict().items()}
    build_knn_monitor(separable, recipe, machine)(flat.train(), 0)
    assert flat.training
    assert all((before[name] == tensor).all() for name, tensor in flat.state_dict().items())


def test_shuffled_labels_are_near_chance(make_images, flat, recipe, machine):
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (2000, 1, 8, 8)).astype(np.uint8)
    images = make_images(pictures, [str(i % 4) for i in range(2000)], ["train"] * 2000)
    assert abs(build_knn_monitor(images, recipe, machine)(flat, 0)["knn_top1"] - 0.25) < 0.15


def test_unlabelled_pictures_have_no_monitor(separable, recipe, machine):
    assert build_knn_monitor(dataclasses.replace(separable, labels=[None] * 90), recipe, machine) is None


def test_an_encoder_that_diverged_is_refused(separable, flat, recipe, machine):
    nn.init.constant_(flat.norm.weight, float("nan"))
    with pytest.raises(NotFiniteError, match="not finite"):
        build_knn_monitor(separable, recipe, machine)(flat, 0)
