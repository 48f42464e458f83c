import itertools

import numpy as np
import pytest

from twofold.evaluation import build_evaluation_images, gallery
from twofold.evaluation.gallery import look_alikes, most_confident_mistakes
from twofold.evaluation.knn import unit
from twofold.report import read


def invented(m: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    return draw.normal(size=(m, 3)).astype(np.float32), draw.integers(0, classes, m)


def slow_look_alikes(embeddings: np.ndarray, truth: np.ndarray, most: int) -> list[tuple[int, int]]:
    """Every pair of different classes, nearest first; one whose images are both free is taken."""
    h = embeddings.astype(np.float64)
    h /= np.linalg.norm(h, axis=1, keepdims=True)
    pairs = [(i, j) for i, j in itertools.combinations(range(len(h)), 2) if truth[i] != truth[j]]
    taken: list[tuple[int, int]] = []
    for pair in sorted(pairs, key=lambda pair: -float(h[pair[0]] @ h[pair[1]])):
        if len(taken) < most and not set(pair) & {row for other in taken for row in other}:
            taken.append(pair)
    return taken


@pytest.fixture
def build(separable, tmp_path):
    def run(truth, predicted, confidence, embeddings, classes=("apple", "banana", "cherry")):
        out = tmp_path / "evaluation_pictures.npz"
        rows = separable.rows("test")
        build_evaluation_images(separable, rows, truth, predicted, confidence, embeddings, list(classes), out=out)
        with np.load(out, allow_pickle=False) as arrays:
            return dict(arrays)

    return run


@pytest.mark.parametrize(("m", "classes", "most"), [(60, 2, 12), (60, 7, 12), (300, 3, 4), (9, 3, 12), (40, 40, 12)])
@pytest.mark.parametrize("block", [7, 1024])
def test_look_alikes_equal_the_slow_way_whatever_the_block(monkeypatch, m, classes, most, block):
    monkeypatch.setattr(gallery, "BLOCK", block)
    embeddings, truth = invented(m, classes, seed=m + classes)
    pairs, similarity = look_alikes(embeddings, truth, most)
    assert [tuple(pair) for pair in pairs.tolist()] == slow_look_alikes(embeddings, truth, most)
    assert (np.diff(similarity) <= 1e-6).all()
    h = unit(embeddings).numpy()
    np.testing.assert_allclose(similarity, (h[pairs[:, 0]] * h[pairs[:, 1]]).sum(1), atol=1e-6)


def star() -> tuple[np.ndarray, np.ndarray]:
    """One image of class 0 amid all those of class 1, the others of class 0 far away."""
    draw = np.random.default_rng(0)
    near, far = [1, 0, 0] + 0.01 * draw.normal(size=(20, 3)), [0, 1, 0] + 0.01 * draw.normal(size=(15, 3))
    embeddings = np.concatenate([[[1.0, 0, 0]], near, far]).astype(np.float32)
    return embeddings, np.array([0] + [1] * 20 + [0] * 15)


def test_one_picture_near_to_all_is_shown_once():
    embeddings, truth = star()
    pairs, _ = look_alikes(embeddings, truth)
    assert len(pairs) == 12
    assert len(set(pairs.ravel().tolist())) == 24
    assert [tuple(pair) for pair in pairs.tolist()] == slow_look_alikes(embeddings, truth, 12)


def test_with_fewer_candidates_the_test_above_would_fail(monkeypatch):
    whole = gallery._nearest_of_other_classes
    monkeypatch.setattr(gallery, "_nearest_of_other_classes", lambda h, truth, count: whole(h, truth, 3))
    assert len(look_alikes(*star())[0]) < 12


@pytest.mark.parametrize(("m", "classes"), [(0, 1), (1, 1), (5, 1)])
def test_a_single_class_has_no_look_alikes(m, classes):
    pairs, similarity = look_alikes(*invented(m, classes))
    assert pairs.shape == (0, 2)
    assert similarity.shape == (0,)


def test_equal_embeddings_are_found_and_have_similarity_one():
    embeddings, truth = invented(30, 3)
    truth[[4, 17]] = 0, 1
    embeddings[17] = 2 * embeddings[4]
    pairs, similarity = look_alikes(embeddings, truth)
    assert pairs[0].tolist() == [4, 17]
    assert similarity[0] == pytest.approx(1.0)
    assert similarity.max() <= 1.0


def test_mistakes_are_the_wrong_ones_most_confident_first():
    truth, predicted = np.array([0, 1, 2, 0, 1]), np.array([0, 2, 1, 1, 0])
    confidence = np.array([0.99, 0.5, 0.9, 0.5, 0.7])
    assert most_confident_mistakes(truth, predicted, confidence).tolist() == [2, 4, 1, 3]
    assert most_confident_mistakes(truth, predicted, confidence, most=2).tolist() == [2, 4]


def test_the_file_shows_the_pictures_it_speaks_of(separable, build):
    embeddings, truth = invented(30, 3)
    predicted, confidence = (truth + np.arange(30) % 2) % 3, np.linspace(1 / 3, 1, 30)
    found = build(truth, predicted, confidence, embeddings)
    rows, names = separable.rows("test"), np.array(["apple", "banana", "cherry"])
    wrong = np.arange(29, 0, -2)
    assert found["mistake_paths"].tolist() == [separable.paths[row] for row in rows[wrong]]
    assert found["mistake_truth"].tolist() == names[truth[wrong]].tolist()
    assert found["mistake_predicted"].tolist() == names[predicted[wrong]].tolist()
    np.testing.assert_array_equal(found["mistake_confidence"], confidence[wrong])
    np.testing.assert_array_equal(found["mistake_thumbs"][..., 0], separable.read(rows[wrong]).images[:, 0])
    pairs, similarity = look_alikes(embeddings, truth)
    assert found["pair_paths"].tolist() == [[separable.paths[row] for row in rows[pair]] for pair in pairs]
    assert found["pair_labels"].tolist() == names[truth[pairs]].tolist()
    np.testing.assert_array_equal(found["pair_similarity"], similarity)
    np.testing.assert_array_equal(found["pair_thumbs"][:, 1, ..., 0], separable.read(rows[pairs[:, 1]]).images[:, 0])


def test_at_most_24_mistakes_and_12_pairs_are_kept(build):
    embeddings, truth = invented(30, 3)
    found = build(truth, (truth + 1) % 3, np.full(30, 0.5, np.float32), embeddings)
    assert found["mistake_thumbs"].shape == (24, 8, 8, 3)
    assert found["mistake_thumbs"].dtype == np.uint8
    assert found["pair_thumbs"].shape == (12, 2, 8, 8, 3)


def test_without_mistakes_and_pairs_the_arrays_are_empty(build):
    embeddings, _ = invented(30, 1)
    truth = np.zeros(30, np.int64)
    found = build(truth, truth, np.ones(30), embeddings, classes=["apple"])
    assert [len(array) for array in found.values()] == [0] * 9
    assert found["pair_paths"].shape == (0, 2)
    assert found["pair_thumbs"].ndim == 5


def test_the_report_reads_what_is_written(build, tmp_path):
    embeddings, truth = invented(30, 3)
    found = build(truth, (truth + 1) % 3, np.linspace(0.4, 1, 30, dtype=np.float32), embeddings)
    mistakes, pairs = read._read_arrays(tmp_path / "evaluation_pictures.npz", read._evaluation_pictures)
    assert [mistake.path for mistake in mistakes] == found["mistake_paths"].tolist()
    assert [pair.labels for pair in pairs] == found["pair_labels"].tolist()
