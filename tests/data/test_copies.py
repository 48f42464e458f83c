"""Copies are known, and no batch holds two of one group."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twofold.data import Loader, load_images, rows_of_step
from twofold.data import copies as copies_module
from twofold.data import loader as loader_module
from twofold.data.copies import Copies, apart, known_copies
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe

DRAW = np.random.default_rng(0)


def some_copies(n: int, sizes: list[int]) -> Copies:
    groups = np.full(n, -1)
    places = DRAW.permutation(n)
    for name, (start, size) in enumerate(zip(np.cumsum([0, *sizes]), sizes, strict=False)):
        groups[places[start : start + size]] = name
    return Copies(groups)


def clashes(copies: Copies, batch: np.ndarray) -> int:
    own = copies.groups[batch]
    own = own[own >= 0]
    return len(own) - len(set(own.tolist()))


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [(50, 10, [5, 4, 3, 2, 2, 2]), (23, 4, [5] * 4), (24, 12, [2] * 12), (20, 5, [4] * 5), (9, 4, [2] * 4), (9, 9, [])],
)
def test_no_batch_holds_two_of_one_group_and_every_row_comes_once(n: int, batch_size: int, sizes: list[int]) -> None:
    copies, rows = some_copies(n, sizes), np.arange(100, 100 + n)
    copies.require_batches(batch_size)
    steps = n // batch_size
    for epoch in range(4):
        batches = [rows_of_step(rows, batch_size, 3, epoch * steps + step, copies) - 100 for step in range(steps)]
        assert [clashes(copies, batch) for batch in batches] == [0] * steps
        assert len(set(np.concatenate(batches).tolist())) == steps * batch_size
        assert sorted(apart(copies, batch_size, 3, epoch).tolist()) == list(range(n))


def test_without_it_copies_would_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    copies, rows = some_copies(50, [5] * 8), np.arange(50)
    monkeypatch.setattr(copies_module, "apart", lambda copies, batch_size, *key: np.arange(50))
    loader_module._order_apart.cache_clear()
    assert sum(clashes(copies, rows_of_step(rows, 10, 0, step, copies)) for step in range(5)) > 0
    loader_module._order_apart.cache_clear()


def test_the_order_is_a_function_of_seed_and_epoch_and_random() -> None:
    copies, rows = some_copies(60, [3] * 6), np.arange(60)
    assert rows_of_step(rows, 10, 1, 7, copies).tolist() == rows_of_step(rows, 10, 1, 7, copies).tolist()
    orders = {tuple(apart(copies, 10, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    met = np.zeros((60, 60))
    for epoch in range(60):
        for batch in apart(copies, 10, 0, epoch).reshape(6, 10):
            met[np.ix_(batch, batch)] += 1
    alone = np.flatnonzero(copies.groups < 0)
    others = met[np.ix_(alone, alone)][~np.eye(len(alone), dtype=bool)]
    assert others.min() > 0, "any two others meet"


def test_too_many_copies_for_an_epoch_are_refused() -> None:
    with pytest.raises(TwofoldError, match=r"an image has 4 copies and an epoch only 2 batches of 10.*--batch-size 6"):
        some_copies(25, [4]).require_batches(10)


def test_copies_are_those_of_equal_pixels_and_of_the_findings_of_clean(tmp_path: Path) -> None:
    for number in range(8):
        Image.new("L", (4, 4), 20 * (number % 6)).save(tmp_path / f"{number}.png")
    images = load_images(tmp_path, recipe=DataRecipe(channels=1), store_px=None, cache=tmp_path / "cache")
    rows = np.arange(8)
    assert known_copies(images, rows, "together") is None
    exact = known_copies(images, rows, "apart")
    assert exact is not None
    assert exact.groups.tolist() == [0, 1, -1, -1, -1, -1, 0, 1]
    assert "4 images in 2 groups" in exact.sentence()
    (tmp_path / "findings.csv").write_text(
        "kind,path,other\ncopy,3.png,6.png\ncopy,5.png,gone.png\nblank,2.png,4.png\n"
    )
    more = known_copies(images, rows, str(tmp_path / "findings.csv"))
    assert more is not None
    assert more.groups.tolist() == [0, 1, -1, 0, -1, -1, 0, 1]
    assert more.digest != exact.digest
    batches = Loader(images, rows, batch_size=2, seed=0, last_step=20, copies=more)
    for batch in batches:
        values = batch.images[:, 0, 0, 0].tolist()
        assert not {0, 60} >= set(values)
        assert len(set(values)) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read.*together, apart or the findings.csv"),
        ("path,label\n", "has no column kind and no column other"),
        ("kind,path,other\ncopy,x.png,y.png\n", "names no image of the data"),
    ],
)
def test_a_table_that_is_something_else_is_refused(tmp_path: Path, text: str | None, words: str) -> None:
    (tmp_path / "data").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "data" / "0.png")
    images = load_images(tmp_path / "data", recipe=DataRecipe(channels=1), store_px=None, cache=tmp_path / "cache")
    if text is not None:
        (tmp_path / "t.csv").write_text(text)
    with pytest.raises(TwofoldError, match=words):
        known_copies(images, np.arange(1), str(tmp_path / "t.csv"))
