"""The longest files first, so that no process is left alone with one of them at the end."""

import gc
import os
import sys

import pytest

import checks  # noqa: F401  # before the package is imported

LONGEST = (
    "studies/engine/test_run.py",
    "distributed/test_world.py",
    "distributed/test_launch.py",
    "evaluation/test_evaluate.py",
    "test_pretend_cuda.py",
    "evaluation/test_kill_evaluation.py",
    "evaluation/test_networks.py",
    "training/test_compile.py",
    "distributed/test_failing.py",
    "training/test_loop.py",
    "losses/test_tiled.py",
    "training/test_kill.py",
    "data/test_flatten.py",
    "cli/test_main.py",
    "programs/test_evaluate.py",
    "test_windows.py",
    "speed/test_step_time.py",
    "test_at_once.py",
)


def pytest_configure(config: pytest.Config) -> None:
    # a program that a test starts would compile the whole package each time: a second or more
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    gc.set_threshold(100_000, 20, 20)  # with torch loaded a collection of everything takes a while
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False  # xdist would begin with the files of the most tests


def pytest_collection_finish() -> None:
    gc.freeze()  # what is loaded by now stays


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        name = item.path.as_posix()
        return next((number for number, file in enumerate(LONGEST) if name.endswith(f"tests/{file}")), len(LONGEST))

    items.sort(key=place)
