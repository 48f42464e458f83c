"""k-NN against plain loops and scikit-learn, and the monitor that watches it while training."""

import dataclasses
import doctest
import math
from importlib import import_module

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from twofold.data.pixels import Pixels
from twofold.errors import NotFiniteError
from twofold.evaluation import build_knn_monitor, knn
from twofold.evaluation.knn import neighbour_count, neighbours
from twofold.recipes.recipe import Recipe

knn_module = import_module("twofold.evaluation.knn")  # the package has a function of that name


def _data(n=80, m=33, d=7, classes=4):
    draw = np.random.default_rng(3)
    bank, queries = draw.normal(size=(n, d)), draw.normal(size=(m, d)) * 5
    return queries.astype(np.float32), bank.astype(np.float32), draw.integers(0, classes, n)


def _knn(queries, bank, labels, **options):
    """`knn` of arrays."""
    return knn(*(torch.from_numpy(part) for part in (bank, labels, queries)), **options).numpy()


def _by_loops(queries, bank, labels, classes, k, temperature=0.1):
    predicted = []
    for query in queries.astype(np.float64):
        cosines = [float(query @ row / (math.hypot(*query) * math.hypot(*row))) for row in bank.astype(np.float64)]
        votes = [0.0] * classes
        for place in sorted(range(len(bank)), key=lambda i: -cosines[i])[:k]:
            votes[labels[place]] += math.exp(cosines[place] / temperature)
        predicted.append(votes.index(max(votes)))
    return predicted


@pytest.mark.parametrize("k", [1, 5, 20, 80])
def test_agrees_with_loops(k):
    queries, bank, labels = _data()
    assert _knn(queries, bank, labels, k=k).tolist() == _by_loops(queries, bank, labels, 4, k)


def test_the_example_of_the_docstring_holds():
    examples = doctest.DocTestFinder().find(knn_module.knn, "knn", globs={"knn": knn, "torch": torch})
    results = [doctest.DocTestRunner().run(one) for one in examples]
    assert (sum(one.attempted for one in results), sum(one.failed for one in results)) == (2, 0)


def test_tensors_that_need_gradients_and_other_kinds_of_numbers_serve():
    queries, bank, labels = _data()
    expected = _knn(queries, bank, labels, k=5)
    h = torch.from_numpy(bank).double().requires_grad_()
    ids = torch.from_numpy(labels).to(torch.int32)
    predicted = knn(h, ids, torch.from_numpy(queries), k=5)
    assert predicted.dtype == torch.int64
    np.testing.assert_array_equal(predicted.numpy(), expected)


def test_the_weights_matter_in_that_comparison():
    queries, bank, labels = _data()
    flat = _knn(queries, bank, labels, k=20, temperature=1e6)
    assert flat.tolist() != _by_loops(queries, bank, labels, 4, 20)


def test_agrees_with_scikit_learn():
    queries, bank, labels = _data()
    oracle = KNeighborsClassifier(20, metric="cosine", algorithm="brute", weights=lambda away: np.exp((1 - away) / 0.1))
    expected = oracle.fit(bank, labels).predict(queries)
    np.testing.assert_array_equal(_knn(queries, bank, labels, k=20), expected)


def test_blocks_do_not_show(monkeypatch):
    queries, bank, labels = _data()
    whole = _knn(queries, bank, labels, k=9)
    monkeypatch.setattr(knn_module, "BLOCK", 7)
    np.testing.assert_array_equal(_knn(queries, bank, labels, k=9), whole)


def test_more_neighbours_than_rows_are_all_rows():
    queries, bank, labels = _data(n=6)
    np.testing.assert_array_equal(_knn(queries, bank, labels, k=20), _knn(queries, bank, labels, k=6))


def test_length_of_an_embedding_does_not_count():
    queries, bank, labels = _data()
    lengths = np.random.default_rng(0).uniform(0.1, 9, (len(bank), 1)).astype(np.float32)
    np.testing.assert_array_equal(_knn(queries, bank * lengths, labels, k=5), _knn(queries, bank, labels, k=5))


def test_neighbours_come_nearest_first():
    _, bank, _ = _data()
    cosines, rows = neighbours(bank, bank, 5)
    np.testing.assert_array_equal(rows[:, 0], np.arange(len(bank)))
    assert (np.diff(cosines, axis=1) <= 0).all()


@pytest.mark.parametrize(("labels", "classes", "k"), [(10, 10, 1), (50, 10, 5), (50_000, 10, 20), (3, 10, 1)])
def test_k_is_twenty_or_the_labels_per_class(labels, classes, k):
    assert neighbour_count(labels, classes) == k


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
    monkeypatch.setattr(knn_module, "_MONITOR_BANK", 20)
    monkeypatch.setattr(knn_module, "_MONITOR_QUERIES", 4)
    real = knn_module.embed_images

    def watched(encoder, images, rows, **options):
        parts.append(rows)
        return real(encoder, images, rows, **options)

    monkeypatch.setattr(knn_module, "embed_images", watched)
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
