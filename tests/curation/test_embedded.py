"""Embeddings are made once for the same content, in parts, and kept whole."""

from pathlib import Path

import numpy as np
import pytest

from twofold.curation import Embedded, embedded, kept_embeddings
from twofold.errors import TwofoldError

H = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)


class Embedding:
    """Rows of H, and how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        self.calls += 1
        return H[rows]


def test_they_are_made_in_parts_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_AT_ONCE", 4)
    embed = Embedding()
    for _ in range(2):
        np.testing.assert_array_equal(kept_embeddings(tmp_path, "key", 10, embed), H)
    assert embed.calls == 3
    np.testing.assert_array_equal(kept_embeddings(tmp_path, "other", 10, embed), H)
    assert embed.calls == 6


def test_an_interruption_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_AT_ONCE", 4)

    def stopped(rows: np.ndarray) -> np.ndarray:
        if rows[0] == 8:
            raise KeyboardInterrupt
        return H[rows]

    with pytest.raises(KeyboardInterrupt):
        kept_embeddings(tmp_path, "key", 10, stopped)
    assert list((tmp_path / "curation").iterdir()) == []
    np.testing.assert_array_equal(kept_embeddings(tmp_path, "key", 10, Embedding()), H)


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    kept_embeddings(tmp_path, "key", 10, Embedding())
    file = tmp_path / "curation" / "key-h" / "h.npy"
    file.write_bytes(file.read_bytes()[:90])
    embed = Embedding()
    np.testing.assert_array_equal(kept_embeddings(tmp_path, "key", 10, embed), H)
    assert embed.calls == 1


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "curation").write_text("in the way")
    with pytest.raises(TwofoldError, match="Choose another one with --cache"):
        kept_embeddings(tmp_path, "key", 10, Embedding())


def whole(**changed: object) -> Embedded:
    rows = {"paths": [f"{i}.png" for i in range(10)], "labels": ["b", None] * 5, "splits": ["train", "test"] * 5}
    return Embedded(**{"h": H, **rows, **changed})


def test_classes_and_splits_are_those_of_the_rows() -> None:
    images = whole()
    assert images.classes == ["b"]
    assert images.class_ids.tolist() == [0, -1] * 5
    assert images.rows("test").tolist() == [1, 3, 5, 7, 9]


def test_rows_of_unequal_number_are_refused() -> None:
    with pytest.raises(TwofoldError, match="labels is '9 rows'"):
        whole(labels=[None] * 9)


def test_neighbours_are_kept_where_there_is_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = whole().neighbours
    first = whole(key="key", cache=tmp_path).neighbours
    monkeypatch.setattr(embedded, "neighbours", None)
    second = whole(key="key", cache=tmp_path).neighbours
    for near in (first, second):
        np.testing.assert_array_equal(near.rows, expected.rows)
        np.testing.assert_array_equal(near.cosines, expected.cosines)
