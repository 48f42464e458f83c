"""Images come out as they were written, into whatever memory and by however many threads."""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from twofold.data import pixels
from twofold.data.pixels import Pixels

ROWS = np.array([4, 0, 7, 7, 2, 11, 3, 1, -1])


@pytest.fixture(params=[1, 3])
def channels(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=["of one size", "of many"])
def sizes(request: pytest.FixtureRequest) -> np.ndarray:
    draw = np.random.default_rng(0)
    return np.full((12, 2), (9, 14)) if request.param == "of one size" else draw.integers(1, 40, (12, 2))


@pytest.fixture
def written(sizes: np.ndarray, channels: int) -> list[np.ndarray]:
    """Images without a zero, so that what was not written is seen."""
    draw = np.random.default_rng(1)
    return [draw.integers(1, 256, (channels, *size), dtype=np.uint8) for size in sizes.tolist()]


@pytest.fixture
def store(written: list[np.ndarray], sizes: np.ndarray, channels: int, tmp_path: Path) -> Pixels:
    path = tmp_path / "pixels"
    path.write_bytes(b"".join(one.tobytes() for one in written))
    return Pixels(path, sizes.astype(np.int64), channels)


@pytest.fixture(params=[0, 1, 3])
def readers(request: pytest.FixtureRequest) -> Iterator[Executor | None]:
    if not request.param:
        yield None
        return
    with ThreadPoolExecutor(request.param) as pool:
        yield pool


@pytest.fixture
def in_page_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that held something else before, as page-locked memory does."""
    monkeypatch.setattr(pixels, "page_locked", lambda shape: torch.full(shape, 0xAB, dtype=torch.uint8))


@pytest.mark.usefixtures("in_page_locked")
@pytest.mark.parametrize("pinned", [False, True])
@pytest.mark.parametrize(("at_once", "cleared_whole"), [(1, 0), (2, 2**16), (16, 0)])
def test_bytes_are_those_that_were_written_and_zeros_beyond(
    store: Pixels,
    written: list[np.ndarray],
    readers: Executor | None,
    pinned: bool,
    at_once: int,
    cleared_whole: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pixels, "_AT_ONCE", at_once)
    monkeypatch.setattr(pixels, "_CLEARED_WHOLE", cleared_whole)
    monkeypatch.setattr(pixels, "_WORTH_SHARING", 0)
    batch = store.read(ROWS, pinned=pinned, readers=readers)
    H, W = (max(written[row].shape[axis] for row in ROWS) for axis in (1, 2))
    assert batch.images.shape == (len(ROWS), store.channels, H, W)
    assert batch.images.dtype == torch.uint8
    for image, size, row in zip(batch.images.numpy(), batch.sizes.tolist(), ROWS, strict=True):
        height, width = written[row].shape[1:]
        assert size == [height, width]
        expected = np.zeros((store.channels, H, W), np.uint8)
        expected[:, :height, :width] = written[row]
        assert np.array_equal(image, expected)


@pytest.mark.usefixtures("in_page_locked")
@pytest.mark.parametrize("pinned", [False, True])
def test_no_rows_are_no_pictures_and_a_row_too_many_is_an_error(store: Pixels, pinned: bool) -> None:
    assert len(store.read(np.array([], np.int64), pinned=pinned).images) == 0
    with pytest.raises(IndexError):
        store.read(np.array([12]), pinned=pinned)


@pytest.mark.parametrize(("bytes_", "shared"), [(0, True), (2**24, False)])
def test_a_small_batch_is_read_by_one_thread(
    store: Pixels, bytes_: int, shared: bool, in_page_locked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    class Pool(ThreadPoolExecutor):
        def map(self, *arguments, **options):  # type: ignore[no-untyped-def]
            asked.append(arguments)
            return super().map(*arguments, **options)

    monkeypatch.setattr(pixels, "_WORTH_SHARING", bytes_)
    with Pool(2) as pool:
        store.read(ROWS, pinned=True, readers=pool)
    assert bool(asked) is shared


@pytest.mark.parametrize("sizes", ["of many"], indirect=True)  # of one size nothing lies beyond them
def test_what_was_in_the_memory_before_is_seen(store: Pixels, in_page_locked: None) -> None:
    """The comparison above fails where the canvas beyond an image is left as it was."""
    store._put = lambda canvases, rows, sizes, part, clear: Pixels._put(  # type: ignore[method-assign]
        store, canvases, rows, sizes, part, clear=False
    )
    batch = store.read(ROWS, pinned=True)
    assert (batch.images == 0xAB).any()
    assert (store.read(ROWS).images == 0).any()
