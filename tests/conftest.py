"""The longest files first, so that no process is left alone with one of them at the end."""

import gc
import os
import sys
from collections.abc import Iterator

import pytest

import checks  # before the package is imported
from twofold.training import start

LONGEST = (
    "distributed/test_launch.py",
    "studies/engine/test_run.py",
    "test_pretend_cuda.py",
    "training/test_loop.py",
    "distributed/test_world.py",
    "evaluation/test_evaluate.py",
    "evaluation/test_kill_evaluation.py",
    "test_gpu_benchmark.py",
    "cli/test_main.py",
    "training/test_compile.py",
    "programs/test_objects.py",
    "training/test_kill.py",
    "distributed/test_failing.py",
    "programs/test_evaluate.py",
    "losses/test_tiled.py",
    "data/test_flatten.py",
    "evaluation/test_fine_tuning_tuned.py",
    "cli/test_failures.py",
    "test_at_once.py",
    "test_windows.py",
)


def pytest_configure(config: pytest.Config) -> None:
    # a program that a test starts would compile the whole package each time: a second or more
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    gc.set_threshold(100_000, 20, 20)  # with torch loaded a collection of everything takes a while
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False  # xdist would begin with the files of the most tests


def pytest_runtest_setup() -> None:
    checks.begin_test()


def pytest_collection_finish() -> None:
    gc.freeze()  # what is loaded by now stays


@pytest.fixture(autouse=True, scope="session")
def steps_are_measured_briefly() -> Iterator[None]:
    """Where a step's time is only printed: a run of a test has a dozen steps, and would be measured on as many more."""
    measured_s = start._measured_s
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start, "_measured_s", lambda minutes: measured_s(minutes) if minutes is not None else 0.0)
        yield


@pytest.fixture(autouse=True, scope="module")
def only_what_is_new_is_collected() -> Iterator[None]:
    """What outlives a file's tests stays: the program's own collections would go through all of it."""
    yield
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        name = item.path.as_posix()
        return next((number for number, file in enumerate(LONGEST) if name.endswith(f"tests/{file}")), len(LONGEST))

    items.sort(key=place)
