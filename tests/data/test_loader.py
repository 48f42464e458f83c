"""Batches: every row once an epoch, exact from any step, a thread that ends."""

import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from twofold.data import ImageBatch, ImageSet, Loader, load_images, pixels, rows_of_step
from twofold.data.pixels import Pixels
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe

COUNT = 50


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """Image n is filled with the value n."""
    root = tmp_path_factory.mktemp("loader")
    for number in range(COUNT):
        Image.new("L", (4, 4), number).save(root / f"{number:02d}.png")
    return load_images(root, recipe=DataRecipe(channels=1), store_px=None, cache=root / "cache")


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("twofold")]


def numbers(batch: ImageBatch) -> list[int]:
    return batch.images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("batch_size", [1, 7, 8, COUNT])
def test_every_row_comes_once_an_epoch_but_for_the_remainder(batch_size: int) -> None:
    rows = np.arange(100, 100 + COUNT)
    steps = COUNT // batch_size
    for epoch in range(3):
        seen = np.concatenate([rows_of_step(rows, batch_size, 0, epoch * steps + step) for step in range(steps)])
        assert len(seen) == steps * batch_size
        assert len(set(seen)) == len(seen)
        assert set(seen) <= set(rows)


def test_the_order_differs_between_epochs_and_seeds() -> None:
    rows = np.arange(COUNT)
    orders = {tuple(rows_of_step(rows, COUNT, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_the_rows_left_out_differ_between_epochs() -> None:
    rows = np.arange(COUNT)
    left = {tuple(sorted(set(rows) - {*rows_of_step(rows, 49, 0, epoch)})) for epoch in range(10)}
    assert len(left) > 4


def test_steps_do_not_depend_on_each_other() -> None:
    rows = np.arange(COUNT)
    forward = [rows_of_step(rows, 8, 1, step).tolist() for step in range(30)]
    backward = [rows_of_step(rows, 8, 1, step).tolist() for step in reversed(range(30))]
    assert forward == backward[::-1]


def test_the_loader_gives_the_pictures_of_the_steps(images: ImageSet) -> None:
    rows = np.arange(3, COUNT, 2)
    loader = Loader(images, rows, batch_size=5, seed=2, last_step=13)
    batches = [numbers(batch) for batch in loader]
    assert batches == [rows_of_step(rows, 5, 2, step).tolist() for step in range(13)]
    assert len(loader) == 13


@pytest.mark.parametrize("pinned", [True, False])
def test_the_thread_pins_what_is_for_a_gpu(images: ImageSet, monkeypatch: pytest.MonkeyPatch, pinned: bool) -> None:
    """It reads straight into page-locked memory, and copies nothing."""
    made: list[torch.Tensor] = []
    by: set[str] = set()

    def page_locked(shape: tuple[int, ...]) -> torch.Tensor:
        by.add(threading.current_thread().name.partition("_")[0])
        made.append(torch.full(shape, 77, dtype=torch.uint8))
        return made[-1]

    monkeypatch.setattr(pixels, "page_locked", page_locked)
    rows = images.rows("train")
    plain = [numbers(batch) for batch in Loader(images, rows, batch_size=8, seed=0, last_step=9)]
    assert not made
    batches = [*Loader(images, rows, batch_size=8, seed=0, last_step=9, pinned=pinned)]
    assert [numbers(batch) for batch in batches] == plain
    assert by == ({"twofold-loader"} if pinned else set())
    given = [batch.images.data_ptr() for batch in batches]
    assert [one.data_ptr() for one in made] == (given if pinned else [])


@pytest.mark.parametrize(
    ("cores", "processes", "threads"), [(1, 1, 1), (2, 1, 1), (4, 1, 2), (16, 1, 8), (64, 1, 8), (64, 16, 2), (8, 8, 1)]
)
def test_threads_read_together_where_cores_are_to_spare(
    images: ImageSet, monkeypatch: pytest.MonkeyPatch, cores: int, processes: int, threads: int
) -> None:
    """Only for a GPU; the bytes are those of one thread."""
    seen: list[Executor | None] = []
    read = Pixels.read

    def watched(self: Pixels, *arguments: Any, **options: Any) -> ImageBatch:
        seen.append(options.get("readers"))
        return read(self, *arguments, **options)

    monkeypatch.setattr(Pixels, "read", watched)
    monkeypatch.setattr(pixels, "_WORTH_SHARING", 0)
    monkeypatch.setattr(pixels, "_AT_ONCE", 3)
    monkeypatch.setattr(pixels, "page_locked", lambda shape: torch.full(shape, 77, dtype=torch.uint8))
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    rows = images.rows("train")
    plain, pinned = (
        [numbers(batch) for batch in Loader(images, rows, batch_size=8, seed=0, last_step=9, pinned=pinned)]
        for pinned in (False, True)
    )
    assert pinned == plain
    assert seen[:9] == [None] * 9
    pools = {one for one in seen[9:] if one is not None}
    assert [pool._max_workers for pool in pools] == ([threads] if threads > 1 else [])  # type: ignore[attr-defined]


def test_what_goes_wrong_in_one_of_several_threads_is_raised(images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(pixels, "_WORTH_SHARING", 0)
    monkeypatch.setattr(pixels, "page_locked", lambda shape: torch.zeros(shape, dtype=torch.uint8))
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(Pixels, "_put", refuse)
    with pytest.raises(OSError, match="the disk is gone"):
        next(iter(Loader(images, images.rows("train"), batch_size=8, seed=0, last_step=9, pinned=True)))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_pinning_without_cuda_is_an_error_and_not_silently_left_out(images: ImageSet) -> None:
    with pytest.raises(RuntimeError, match=r"(?i)pin|cuda|accelerator|driver"):
        next(iter(Loader(images, images.rows("train"), batch_size=8, seed=0, last_step=1, pinned=True)))


@pytest.mark.parametrize("first", [0, 1, 6, 9, 12])
def test_starting_at_a_step_equals_skipping(images: ImageSet, first: int) -> None:
    rows = images.rows("train")
    whole = [numbers(b) for b in Loader(images, rows, batch_size=8, seed=0, last_step=12)]
    late = [numbers(b) for b in Loader(images, rows, batch_size=8, seed=0, first_step=first, last_step=12)]
    assert late == whole[first:]


def test_a_loader_can_be_gone_through_again(images: ImageSet) -> None:
    loader = Loader(images, images.rows("train"), batch_size=8, seed=0, last_step=7)
    assert [numbers(batch) for batch in loader] == [numbers(batch) for batch in loader]


def test_the_thread_ends_when_the_consumer_breaks(images: ImageSet) -> None:
    for batch in Loader(images, images.rows("train"), batch_size=8, seed=0, last_step=10**6):
        assert len(batch.images) == 8
        assert [thread for thread in threading.enumerate() if thread.name.startswith("twofold")]
        break


def test_the_thread_ends_when_the_consumer_raises(images: ImageSet) -> None:
    def consume() -> None:
        for _ in Loader(images, images.rows("train"), batch_size=8, seed=0, last_step=10**6):
            raise RuntimeError("consumer")

    with pytest.raises(RuntimeError, match="consumer"):
        consume()


def test_the_thread_ends_when_nobody_starts(images: ImageSet) -> None:
    iter(Loader(images, images.rows("train"), batch_size=8, seed=0, last_step=10**6))


def test_what_goes_wrong_while_reading_is_raised_here(images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    read, calls = ImageSet.read, []

    def fail(self: ImageSet, rows: np.ndarray) -> ImageBatch:
        calls.append(threading.current_thread().name)
        if len(calls) == 4:
            raise OSError("the disk is gone")
        return read(self, rows)

    monkeypatch.setattr(ImageSet, "read", fail)
    batches = iter(Loader(images, images.rows("train"), batch_size=8, seed=0, last_step=100))
    for _ in range(3):
        next(batches)
    with pytest.raises(OSError, match="the disk is gone"):
        next(batches)
    assert all(name.startswith("twofold-loader") for name in calls)


def test_reading_runs_ahead_by_a_bounded_number(images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    read, done, third = ImageSet.read, [], threading.Event()

    def count(self: ImageSet, rows: np.ndarray) -> ImageBatch:
        done.append(1)
        if len(done) == 3:
            third.set()
        return read(self, rows)

    monkeypatch.setattr(ImageSet, "read", count)
    batches = iter(Loader(images, images.rows("train"), batch_size=8, seed=0, last_step=100))
    next(batches)
    assert third.wait(10), "batches 2 and 3 are read while the first is used"
    assert len(done) == 3


def test_the_time_waited_is_that_of_reading(images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    release, read = threading.Event(), ImageSet.read

    def slow(self: ImageSet, rows: np.ndarray) -> ImageBatch:
        release.wait(0.05)
        return read(self, rows)

    monkeypatch.setattr(ImageSet, "read", slow)
    loader = Loader(images, images.rows("train"), batch_size=8, seed=0, last_step=4)
    assert loader.wait_s == 0
    for _ in loader:
        pass
    assert loader.wait_s > 0.15


def test_a_batch_larger_than_the_data_is_refused(images: ImageSet) -> None:
    message = r"batch_size is 51, but there are 50 .*--batch-size 50"
    with pytest.raises(TwofoldError, match=message):
        Loader(images, images.rows("train"), batch_size=51, seed=0, last_step=1)
    with pytest.raises(TwofoldError, match=message):
        rows_of_step(np.arange(50), 51, 0, 0)


def test_batches_are_uint8_tensors_with_sizes(images: ImageSet) -> None:
    (batch,) = Loader(images, images.rows("train"), batch_size=8, seed=0, last_step=1)
    assert (batch.images.dtype, batch.sizes.dtype) == (torch.uint8, torch.int64)
    assert batch.sizes.tolist() == [[4, 4]] * 8


def test_loaders_side_by_side_do_not_disturb_each_other(images: ImageSet) -> None:
    rows = images.rows("train")
    loaders = [Loader(images, rows, batch_size=8, seed=seed, last_step=14) for seed in range(3)]
    for step, batches in enumerate(zip(*loaders, strict=True)):
        for seed, batch in enumerate(batches):
            assert numbers(batch) == rows_of_step(rows, 8, seed, step).tolist()
