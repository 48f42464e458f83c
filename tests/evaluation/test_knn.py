import math

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from twofold.evaluation import knn, predict_knn
from twofold.evaluation.knn import neighbour_count, neighbours


def _data(n=80, m=33, d=7, classes=4):
    draw = np.random.default_rng(3)
    bank, queries = draw.normal(size=(n, d)), draw.normal(size=(m, d)) * 5
    return queries.astype(np.float32), bank.astype(np.float32), draw.integers(0, classes, n)


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
    assert predict_knn(queries, bank, labels, classes=4, k=k).tolist() == _by_loops(queries, bank, labels, 4, k)


def test_the_weights_matter_in_that_comparison():
    queries, bank, labels = _data()
    flat = predict_knn(queries, bank, labels, classes=4, k=20, temperature=1e6)
    assert flat.tolist() != _by_loops(queries, bank, labels, 4, 20)


def test_agrees_with_scikit_learn():
    queries, bank, labels = _data()
    oracle = KNeighborsClassifier(20, metric="cosine", algorithm="brute", weights=lambda away: np.exp((1 - away) / 0.1))
    expected = oracle.fit(bank, labels).predict(queries)
    np.testing.assert_array_equal(predict_knn(queries, bank, labels, classes=4, k=20), expected)


def test_blocks_do_not_show(monkeypatch):
    queries, bank, labels = _data()
    whole = predict_knn(queries, bank, labels, classes=4, k=9)
    monkeypatch.setattr(knn, "BLOCK", 7)
    np.testing.assert_array_equal(predict_knn(queries, bank, labels, classes=4, k=9), whole)


def test_more_neighbours_than_rows_are_all_rows():
    queries, bank, labels = _data(n=6)
    np.testing.assert_array_equal(
        predict_knn(queries, bank, labels, classes=4, k=20), predict_knn(queries, bank, labels, classes=4, k=6)
    )


def test_length_of_an_embedding_does_not_count():
    queries, bank, labels = _data()
    lengths = np.random.default_rng(0).uniform(0.1, 9, (len(bank), 1)).astype(np.float32)
    np.testing.assert_array_equal(
        predict_knn(queries, bank * lengths, labels, classes=4, k=5), predict_knn(queries, bank, labels, classes=4, k=5)
    )


def test_neighbours_come_nearest_first():
    _, bank, _ = _data()
    cosines, rows = neighbours(bank, bank, 5)
    np.testing.assert_array_equal(rows[:, 0], np.arange(len(bank)))
    assert (np.diff(cosines, axis=1) <= 0).all()


@pytest.mark.parametrize(("labels", "classes", "k"), [(10, 10, 1), (50, 10, 5), (50_000, 10, 20), (3, 10, 1)])
def test_k_is_twenty_or_the_labels_per_class(labels, classes, k):
    assert neighbour_count(labels, classes) == k
