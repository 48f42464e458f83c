"""An index finds what comparing every image finds; it grows, is kept, and belongs to one encoder."""

from pathlib import Path

import numpy as np
import pytest

from twofold.curation import nearest_rows
from twofold.curation.search_index import open_index
from twofold.errors import TwofoldError

H = np.random.default_rng(0).normal(size=(400, 16)).astype(np.float32)
PATHS = [f"{row}.png" for row in range(400)]


@pytest.fixture(autouse=True)
def _usearch() -> None:
    pytest.importorskip("usearch.index")


def test_it_finds_what_comparing_every_image_finds(tmp_path: Path) -> None:
    index = open_index(tmp_path / "index", encoder="e", paths=PATHS, h=H)
    assert (index.added, index.kept) == (400, 0)
    near, exact = index.nearest(H[:50] + 0.01, 5), nearest_rows(H[:50] + 0.01, H, 5)
    same = [len(set(a) & set(b)) / 5 for a, b in zip(near.rows.tolist(), exact.rows.tolist(), strict=True)]
    assert np.mean(same) > 0.95
    np.testing.assert_allclose(near.cosines[:, 0], exact.cosines[:, 0], atol=1e-5)
    assert index.recall(5, sample=100) > 0.95


def test_recall_is_that_of_sets_counted_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that never finds the nearest other one has a recall of (k - 1) / k."""
    index = open_index(tmp_path / "index", encoder="e", paths=PATHS, h=H)
    exact = nearest_rows(H, H, 7)

    def worse(_: object, queries: np.ndarray, k: int) -> object:
        own = nearest_rows(queries, H, k + 1)
        return type(exact)(np.delete(own.cosines, 1, 1), np.delete(own.rows, 1, 1))

    monkeypatch.setattr(type(index), "nearest", worse)
    assert index.recall(5, sample=100) == pytest.approx(4 / 5)


def test_it_is_reused_extended_and_forgets_what_is_gone_or_changed(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    open_index(folder, encoder="e", paths=PATHS[:300], h=H[:300])
    written = sorted(path.name for path in folder.iterdir())
    again = open_index(folder, encoder="e", paths=PATHS[:300][::-1], h=H[:300][::-1])
    assert (again.added, again.kept) == (0, 300)
    assert sorted(path.name for path in folder.iterdir()) == written
    assert again.nearest(H[:1], 1).rows.tolist() == [[299]], "paths name images, not rows"

    changed = H[50:].copy()
    changed[0] = -changed[0]
    grown = open_index(folder, encoder="e", paths=PATHS[50:], h=changed)
    assert (grown.added, grown.kept) == (101, 249)
    assert grown.nearest(-H[50:51], 1).rows.tolist() == [[0]]
    assert grown.nearest(H[350:351], 1).rows.tolist() == [[300]]
    assert set(grown.nearest(H[:5], 9).rows.ravel().tolist()) <= set(range(350))
    last = open_index(folder, encoder="e", paths=PATHS[50:], h=changed)
    assert (last.added, len(list(folder.iterdir()))) == (0, 2)


def test_the_index_of_another_encoder_and_what_is_no_index_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    open_index(folder, encoder="e", paths=PATHS[:9], h=H[:9])
    with pytest.raises(TwofoldError, match=r"made with another encoder.*--index"):
        open_index(folder, encoder="other", paths=PATHS[:9], h=H[:9])
    next(folder.glob("*.usearch")).write_bytes(b"")
    with pytest.raises(TwofoldError, match="is damaged"):
        open_index(folder, encoder="e", paths=PATHS[:9], h=H[:9])
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(TwofoldError, match="nothing of yours is overwritten"):
        open_index(tmp_path, encoder="e", paths=PATHS[:9], h=H[:9])
